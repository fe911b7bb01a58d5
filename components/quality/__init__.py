"""Data quality: leaks, copies, poor images and doubtful labels, before training."""
