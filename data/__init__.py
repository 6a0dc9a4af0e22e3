"""Data sets: the catalogue, loading, checks and `tf.data` input pipelines."""
