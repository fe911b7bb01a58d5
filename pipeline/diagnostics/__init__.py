"""Checks behind `graft doctor`: the machine, and the environment installed on it.

The checks answer in seconds, without importing TensorFlow or TFX.
"""
