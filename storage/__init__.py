"""The one file layer of graft: every path that graft reads or writes goes through here.

paths.py       is a path remote? join, name, parent
drivers.py     the schemes that are allowed, and the fsspec driver of each
files.py       exists, read, list, remove
listing.py     all files below a folder with sizes and times, and patterns with `*`
atomic.py      write a file that appears whole or not at all
copying.py     copy and rename files and folders
hashing.py     SHA-256 of bytes, files and JSON values
tfrecords.py   read and write TFRecords, compressed where the name ends in `.gz`

A local path goes to Python's own functions. A URI (`gs://`, `s3://`) goes to fsspec.
Names are literal: brackets mean nothing, and `*` and `?` only in `listing.find_files`.

No TensorFlow, TFX or Beam is imported with this package; `tfrecords` imports TensorFlow
at its first call. What a file means (a model version, a feature file, an artifact) is
not known here.
"""
