"""Computations in two ways that must agree."""
