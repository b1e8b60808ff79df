"""A spec with all that a run has to take up again."""

from __future__ import annotations

EVERYTHING = """
name: everything
data: {source: iris}
architecture:
  - dense: 8
  - batch_norm
  - prelu
  - dropout: 0.3
  - residual: [{dense: 8}, tanh]
  - dense: outputs
loss: {cross_entropy: {label_smoothing: 0.1, class_weight: balanced}}
optimizer: {adamw: {lr: 1e-2, amsgrad: true}}
schedule: {cosine: {warmup: 20 steps}}
regularizers: [{l2: 1e-3}, {l1: 1e-4}, {max_norm: 2}]
clip: {norm: 0.5}
training: {epochs: 7, batch_size: 16, accumulate: 2}
early_stopping: {patience: 5}
metrics: [accuracy, f1]
"""
