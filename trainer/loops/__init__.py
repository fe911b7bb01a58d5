"""Training by epochs: inputs, augmentation, optimizers, checkpoints, and the search."""
