"""Every attention head of a transformer: what it does, and how we know.

The modules of this package are the stages: each reads files, calls the mathematics and writes tables, as the STAGE of
its settings module declares. docs/architecture.md draws who may import whom.
"""
