"""Decode image files in TensorFlow graph code: the one place where pixels are read."""
