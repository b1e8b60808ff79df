"""``python -m nnctl``."""

from nnctl.cli.app import main

main()
