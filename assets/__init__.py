"""Makers of the data that the package ships: photographs, null distributions, calibrations, students."""
