"""The data that the examples learn: images, texts and pairs of sequences, read or generated, and batches of them."""
