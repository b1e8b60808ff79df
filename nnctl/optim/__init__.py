"""Optimizers, schedules and what is done to gradients: flat vectors only, no knowledge of layers."""

from nnctl.optim.clock import Clock, Length, steps_in
from nnctl.optim.gradients import Clip, Regularizer, global_norm
from nnctl.optim.optimizers import Optimizer
from nnctl.optim.schedules import Schedule
from nnctl.optim.slots import Slots

__all__ = ["Clip", "Clock", "Length", "Optimizer", "Regularizer", "Schedule", "Slots", "global_norm", "steps_in"]
