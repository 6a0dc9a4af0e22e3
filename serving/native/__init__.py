"""TensorFlow's C++ session, without a Python import of TensorFlow."""
