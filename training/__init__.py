"""One run's life: folder, settings, optimizers, precision, fit and checkpoints."""
