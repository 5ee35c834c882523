"""The grid of a decoder: second-order statistics of a picture by phase, without a network."""
