"""Advice on a valid spec: what can be seen to be wrong without its data and without a single step."""
