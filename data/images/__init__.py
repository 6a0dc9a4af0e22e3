"""Images: loading, checks, augmentation and batches."""
