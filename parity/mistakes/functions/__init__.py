"""Mistakes in functions of torch and reference: one file an op, named as in scratch/ops where that has the op."""
