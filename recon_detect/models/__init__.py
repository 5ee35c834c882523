"""Pretrained networks: the registry, where their weights are, and what they compute."""
