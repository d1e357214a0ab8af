"""How long the NumPy twins take, as a ratio to PyTorch: `pytest benchmarks`, or `make bench`."""
