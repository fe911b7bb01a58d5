"""The stop before training: an anomaly of severity error in the data ends the run."""
