"""Data quality: leaks, copies, poor images and doubtful labels, before training.

image_statistics.py  brightness, contrast, sharpness and signature of an image
measurements.py      the same of every image, kept from run to run
image_table.py, feature_table.py  all images and their features, in columns
signature.py, cells.py, near_copies.py  the search for near-copies
checks.py, copy_checks.py, feature_checks.py, findings.py  every check, and its findings
profile.py           distributions of image properties, and the shift between two
component.py, executor.py, config.py   the TFX component and its config

`ingestion` puts files that can't be decoded into quarantine.
"""
