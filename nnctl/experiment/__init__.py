"""The one place where all meet: a Spec becomes data, a network, an optimizer, a training and a run."""
