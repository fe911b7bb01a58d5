"""Heads on a backbone: layers, losses, metrics, and solvers for linear heads."""
