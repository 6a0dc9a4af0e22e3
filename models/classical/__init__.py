"""Classical methods as Keras models."""
