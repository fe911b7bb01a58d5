"""The gate: which evidence a candidate model must bring before it may be pushed."""
