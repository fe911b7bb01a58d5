"""Resize and normalise decoded images, as a preset asks."""
