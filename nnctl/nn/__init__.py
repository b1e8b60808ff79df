"""The mathematics of networks, in NumPy alone."""

from nnctl.nn import activations, compose, dense, initializers  # noqa: F401 - importing a family registers it
