"""Plots of the examples: losses, and what a trained model does."""

try:
    import matplotlib.figure  # noqa: F401
except ImportError as error:
    raise ValueError(f'--plots needs matplotlib, which is not installed ({error}): pip install "matplotlib>=3.8"') from error
