"""The mathematics of networks, in NumPy alone."""

from nnctl.nn import (  # noqa: F401 - importing a family registers it
    activations,
    attention,
    compose,
    conv,
    dense,
    dropout,
    gelu,
    glu,
    gru,
    initializers,
    lstm,
    norm,
    pool,
    position,
    rectifiers,
    rnn,
    shape,
    transformer,
)
