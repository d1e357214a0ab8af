"""Benchmarks: the time of the NumPy twins as a ratio to PyTorch's, with `pytest benchmarks` or `make bench`."""
