"""Transformers written out: weights under the field's names, the parts of a layer, the forward pass."""
