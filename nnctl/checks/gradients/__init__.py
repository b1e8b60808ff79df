"""Gradients held against differences: how one is measured, what is measured, and what a wrong one looks like."""
