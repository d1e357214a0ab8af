"""The PyTorch twins of scratch."""
