"""A source of labelled images: its config, its references, and the label of one image.

config.py                     the keys of `data`
source.py, image_ref.py       the result of listing: references to images, and warnings
layout.py                     folder, manifest, TFRecords or a built-in data set
layout_answers.py             a layout of folders, or a question to the user
labels.py                     read one label, or refuse it
splitting.py                  the split of an image
similar_classes.py, tag_sets.py, label_codes.py   doubts about the names of classes

The modules here list no folders and read no tables: see `folders` and `tables`.
"""
