"""Data quality: leaks, copies, poor images and doubtful labels, before training.

image_statistics.py  brightness, contrast, sharpness and hashes of an image
checks.py            every check
profile.py           what data look like as a whole, and how far two profiles differ
component.py, executor.py, config.py   the TFX component and its config

Files that can't be decoded are put aside in `ingestion`.
"""
