"""What the notebooks claim, measured: one run's tables in, one number and its evidence out."""
