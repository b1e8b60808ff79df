"""The command line: one file a command, each a thin command over a plain function."""
