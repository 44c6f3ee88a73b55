"""Every attention head of a transformer: what it does, and how we know.

Stages of a run, in order: prepare, probe, train, extract, verify, decompose, project, score, ablate,
score_checkpoints, challenge, overlap. Of a study: align, summarise, judge, render. Apart: known_answers, benchmark.
Each is a module of this package that reads files, calls the mathematics and writes tables.

Who may import whom: circuits <- models <- stages; claims <- figures <- stages; settings, tables and plumbing <-
stages. No stage imports another.
"""
