"""The frozen backbone, run over each image once: bottleneck features for the head."""
