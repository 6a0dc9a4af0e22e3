"""TensorFlow's C++ session, without importing TensorFlow in Python."""
