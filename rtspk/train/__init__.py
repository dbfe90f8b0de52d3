"""Manifests in, checkpoint out: data, augmentation, models, losses and the loop."""
