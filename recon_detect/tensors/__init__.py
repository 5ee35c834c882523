"""Numerics without networks: filters, tiles, devices."""
