"""Runs on disk: the directory of a run, its records, its checkpoints, and where it ran."""
