"""The store of what was computed of images, so that it is not computed twice.

store.py         rows of numbers by the SHA-256 of an image, in namespaces
rows_file.py     the format of one of its files
index_file.py    the format of the index beside such a file
store_index.py   which rows a namespace has, in which files, all of them verified
key_index.py     an index of keys, sorted on disk
row_ranges.py    read some rows of a file on a bucket
references.py    what an artifact keeps of the store instead of a copy
pins.py          keep from pruning what artifacts refer to
store_files.py   read its files, each verified by the hash in its name
store_upkeep.py  the work of `graft cache`: summary, verification, clean-up

`features` keeps bottleneck features in it, `quality` what it measured of images, and
`evaluation` what models answered.
"""
