"""Images: loading, checks, augmentation and batching."""
