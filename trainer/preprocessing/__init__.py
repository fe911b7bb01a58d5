"""Resize and normalise decoded images, as a preset asks.

spec.py                 what decides the backbone's input, without TensorFlow
normalisation.py        value ranges of families of backbones, there and back
resizing.py             resize one image
image_preprocessing.py  all steps in their order, and a hash of their graph

Random changes of training images are in `graft.trainer.loops.augmentation`.
"""
