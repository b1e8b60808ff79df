"""A small spec that learns within seconds, with dropout and statistics of the batch."""

IRIS = """
name: iris
data: {source: iris}
architecture: [dense: 8, tanh, dropout: 0.1, batch_norm, dense: outputs]
loss: cross_entropy
optimizer: momentum
training: {batch_size: 16}
"""
