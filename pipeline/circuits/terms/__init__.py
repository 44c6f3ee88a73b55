"""Attention scores as sums of terms, and what each term amounts to."""
