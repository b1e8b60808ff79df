"""A learning rate: the curve of a range test, short runs that confirm it, and what both mean."""
