"""Cards that describe the data sets of the catalogue."""
