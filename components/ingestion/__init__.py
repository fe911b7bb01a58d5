"""ImageExampleGen: turn labelled images of many layouts into checked, split examples.

layout.py, listing.py         detect the layout and list the images
layout_*.py, folder_*.py      detect the layout of a folder
folders.py, manifests.py, records.py, built_in.py   one module per kind of source
manifest_rows.py              read and check the lines of a manifest
labels.py, record_labels.py   read one label, or refuse it
similar_classes.py            classes with confusable names
fix_rows.py, fix_files.py     read label fixes, and check them without the images
fix_search.py                 find the images of label fixes
label_fixes.py, applied_fixes.py   apply them, and record what was done
readability.py                check that an image can be decoded
deduplication.py              copies of an image, and contradictory labels
splitting.py, rare_classes.py the split of an image, by a hash of its content
transforms.py                 the Beam transforms
ingest.py                     all steps in their order
summary.py                    counts, warnings, and checks that stop a run
fingerprint.py                identify the data, for TFX's cache
component.py, executor.py, config.py   the TFX component and its config

`quality` judges the content of images. `validation` checks the schema of the records.
"""
