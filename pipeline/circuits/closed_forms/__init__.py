"""What every score of a constructed network must be, worked out from its wiring and the tokens alone."""
