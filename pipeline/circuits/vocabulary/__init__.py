"""Heads and neurons read through the vocabulary, exactly, without the matrices from token to token."""
