"""Training in either backend: options, backends, objectives, the training loop, checkpoints and progress."""
