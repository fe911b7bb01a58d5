"""Label fixes: decisions of a person on single images.

fix_rows.py, fix_files.py         read them, and check them without the images
fix_search.py                     find the images that they mean
label_fixes.py, applied_fixes.py  apply them, and record what was done
"""
