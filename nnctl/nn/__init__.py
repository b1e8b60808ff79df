"""The mathematics of networks, in NumPy alone."""

from nnctl.nn import (  # noqa: F401 - importing a family registers it
    activations,
    compose,
    conv,
    dense,
    dropout,
    gelu,
    initializers,
    norm,
    pool,
    rectifiers,
    shape,
)
