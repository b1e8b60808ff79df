"""Pictures, each drawn from plain figures into PNG bytes; Matplotlib is imported when one is drawn."""
