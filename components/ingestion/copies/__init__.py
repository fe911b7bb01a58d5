"""Copies and masks among the images of a class, found by their names.

derived_copies.py, copy_names.py  copies beside their images, such as `1_thumb.jpg`
copies_without_image.py           copies whose image is missing
copy_folders.py, shared_names.py  folders that hold the images of others again
mask_files.py, format_pairs.py    masks, and one image in two formats
doubtful_names.py                 the same for labels that are not the folders' names

Exact copies are found by content, in `ingest`; near-copies by `components.quality`.
"""
