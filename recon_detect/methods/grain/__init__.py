"""The grain of a known decoder: the one method that is a subsystem."""
