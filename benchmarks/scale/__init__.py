"""Measurements of runs over many images: throughput, memory, resumption, faults, and what a run of any size costs."""
