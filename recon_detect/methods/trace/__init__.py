"""The search for the trace of a known decoder: one method that is a subsystem."""
