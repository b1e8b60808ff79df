"""A look at the data: the raw columns and rows, and what the network receives of them."""

from nnctl.checks.data.check import check_data, check_file, check_unusable

__all__ = ["check_data", "check_file", "check_unusable"]
