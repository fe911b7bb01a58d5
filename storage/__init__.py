"""The file layer of graft. All packages read and write files through it.

paths.py       join and split paths, and tell local paths from URIs
drivers.py     the allowed schemes and their fsspec drivers
files.py       exists, read, list, remove
listing.py     list a folder tree with sizes and times, and match patterns
atomic.py      write files atomically
conditional.py write an object only if nobody else has written it since
leases.py      a lock on object storage, with an end
copying.py     copy and rename files and folders
hashing.py     SHA-256 of bytes, files and JSON values
memory.py      how much memory a process may use
mapped_rows.py collect rows and map them as one array
tfrecords.py   read and write TFRecords, compressed if the name ends in `.gz`
content_store/ the store of what was computed of images

Local paths use Python's own functions. URIs (`gs://`, `s3://`) use fsspec. Names are
literal: only `listing.find_files` expands `*` and `?`, and nothing expands brackets.

This package imports no TensorFlow, TFX or Beam; only `tfrecords` imports TensorFlow, at
its first call. Only `content_store` knows what its files contain: numbers by image. The
others know nothing of model versions, features or artifacts.
"""
