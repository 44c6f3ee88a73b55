"""Pure mathematics: tensors in, tensors out; no files, no settings, no hidden randomness.

transformer: weights, layers, the forward pass; terms: scores split by what fed query and key; scores: every published
definition; chance: what each score would be by chance; causes: what the loss owes to heads, edges and paths;
vocabulary: circuits from token to token; gates: computations in two ways that must agree.
"""
