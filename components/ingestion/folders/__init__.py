"""The layout of a folder of images: detected, chosen by the config, or asked about.

folder_layout.py, folders.py      list a folder
layout_detection.py               detect the layout
layout_questions.py, layout_options.py   what to ask, and the configs that would read it
split_detection.py                split folders
doubtful_classes.py, unlike_folders.py   warnings about classes
stray_folders.py, data_sets_below.py     folders beside the classes that are none
given_layouts.py                  doubts about a layout that the config names
"""
