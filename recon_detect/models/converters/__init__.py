"""Checkpoints of other projects, turned into folders that the package reads."""
