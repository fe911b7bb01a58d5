"""Publishing: a blessed model becomes a version that TensorFlow Serving sees whole."""
