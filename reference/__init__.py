"""The PyTorch twins."""
