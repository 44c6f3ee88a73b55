"""Pages of docs/ that are printed from what the code declares, so that they cannot say anything else."""
