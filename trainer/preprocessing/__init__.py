"""Resize and normalise decoded images for a preset's backbone.

spec.py                 the settings of preprocessing, without TensorFlow
normalisation.py        convert pixels to a backbone's value range and back
resizing.py             resize one image
image_preprocessing.py  decode, resize and normalise, and a hash of the graph

Random changes of training images are in `graft.trainer.loops.augmentation`.
"""
