"""What the package ships, and how it is made: photographs, null distributions, calibrations, students."""
