"""One question, one answer: of a study's model or of any checkpoint, without a study and without Snakemake."""
