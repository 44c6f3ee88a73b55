"""Between tensors and tables."""
