"""Decode image files in TensorFlow graph code: the one place where pixels are read.

formats.py       which formats are read, which are refused, and the sentences
images.py        pixels, header or refusal of a file of any format, in a graph
from_bytes.py    the same for one file in Python
jpeg.py          segments, orientation and the smaller scales of a JPEG
png.py, webp.py  chunks, orientation and transparency
gif.py, bmp.py   the first frame; palettes and channel masks
exif.py          EXIF orientation
transparency.py  transparent pixels on white
graph_code.py    numbers in bytes; checks without a state

Resizing is in `preprocessing`.
"""
