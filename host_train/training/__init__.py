"""Training: augmentation, the loop with its checkpoints, and its curves."""
