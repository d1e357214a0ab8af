"""Mistakes in how functions and modules are used: wrong inputs, submodules, residual connections and options."""
