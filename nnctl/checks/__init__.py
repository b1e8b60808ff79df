"""The debugging checklist: each check takes an experiment, changes nothing of it, and returns a Report."""
