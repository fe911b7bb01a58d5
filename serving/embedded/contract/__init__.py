"""TensorFlow Serving's requests, replies, errors and JSON."""
