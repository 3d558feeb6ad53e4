"""Single songs of a report: which a model got most wrong, of which it is surest, and why."""
