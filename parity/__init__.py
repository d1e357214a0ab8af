"""The harness: decides whether a NumPy implementation and its PyTorch twin compute the same function."""
