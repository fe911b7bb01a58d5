"""Decode image files in TensorFlow graph code: the one place where pixels are read.

images.py        header and pixels of a file of any format
jpeg.py, gif.py  what TensorFlow's own decoders do not do
transparency.py  transparent pixels on a background
graph_code.py    checks that a graph has no state

Resizing is in `preprocessing`.
"""
