"""Data sets: catalogue, loading, checks and `tf.data` input pipelines."""
