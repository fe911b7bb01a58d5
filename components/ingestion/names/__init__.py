"""What the names of folders and files say: splits, copies, boxes, levels of classes.

folder_counts.py              the folder tree, and the number of images in each folder
folder_names.py, split_words.py, stray_names.py   words in the names of folders
copy_marks.py                 words and sizes in the names of copies
class_levels.py               folders in class folders
layout_meaning.py             what a layout would read, with counts
object_exports.py             exports for the detection of objects

No file is opened here.
"""
