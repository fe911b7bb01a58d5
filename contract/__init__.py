"""What all parts of graft agree on: names, errors and the base of every config.

Every other package may import this one; it imports none of them. Only small, pure
modules live here: no TensorFlow, no TFX, no file access.
"""
