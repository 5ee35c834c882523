"""Speed beside the published schedules."""
