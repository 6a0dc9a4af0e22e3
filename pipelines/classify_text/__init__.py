"""Text classification: from texts to a model that takes strings."""
