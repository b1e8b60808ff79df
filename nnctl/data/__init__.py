"""Data: from a source to the arrays a network is trained on."""
