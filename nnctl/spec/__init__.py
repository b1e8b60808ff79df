"""The spec: YAML in, a checked description of one experiment out."""
