"""Neural networks in NumPy with every backward pass written by hand."""
