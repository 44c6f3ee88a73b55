"""Every published score of heads and of pairs of heads."""
