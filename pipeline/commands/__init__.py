"""One module per command of `graft`; TFX and TensorFlow are imported in functions.

options.py          options that several commands share
cluster_options.py  options of the commands that use a cluster
"""
