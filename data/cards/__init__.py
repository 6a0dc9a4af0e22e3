"""Cards of the data sets: what is known before one is loaded."""
