"""Data quality: leaks, copies, poor images and doubtful labels, before training.

image_statistics.py  brightness, contrast, sharpness and hash of an image; near-copies
checks.py            every check
profile.py           distributions of image properties, and the shift between two
component.py, executor.py, config.py   the TFX component and its config

`ingestion` puts files that can't be decoded into quarantine.
"""
