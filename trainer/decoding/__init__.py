"""Decode image files in TensorFlow graph code. All packages decode images here.

images.py        pixels, header or refusal of a file of any format, in a graph
from_bytes.py    the same for one file in Python
formats.py       the supported formats, and the messages for refused files
jpeg.py          segments, orientation and reduced scales of a JPEG
png.py           chunks, orientation and transparency of a PNG
webp.py          chunks, orientation and transparency of a WebP
gif.py           the first frame of a GIF
bmp.py           headers, palettes and channel masks of a BMP
exif.py          EXIF orientation
transparency.py  blend transparent pixels with white
graph_code.py    read numbers from bytes, and fail in a graph without state

Resizing is in `preprocessing`.
"""
