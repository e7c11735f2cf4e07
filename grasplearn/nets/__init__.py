"""Networks: a chain of blocks with an imprinted head, its tensors, and its weights on disk."""
