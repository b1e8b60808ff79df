"""Training: one step, the loop over steps, and what is measured on the way."""
