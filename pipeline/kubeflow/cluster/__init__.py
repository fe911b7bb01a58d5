"""A cluster's API: submit a run, follow it, schedule it, tell whether one is due."""
