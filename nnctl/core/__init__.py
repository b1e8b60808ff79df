"""What everything stands on: components, errors, arrays, random streams. It knows nothing of neural networks."""
