"""Optimisers over Parameters, with torch.optim's semantics."""
