"""."""


def command() -> None:
    """Not written."""
