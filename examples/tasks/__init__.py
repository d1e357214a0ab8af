"""The tasks of the examples: the batches that a model learns from, and how it is scored on held-out data."""
