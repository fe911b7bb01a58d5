"""ImageExampleGen: turn labelled images of many layouts into checked, split examples.

Rooms, in their order; none imports one that comes after it:

sources/                      config, references to images, the label of one image
names/                        what the names of folders and files say
tables/, copies/              labels in files; copies and masks
folders/, fixes/              the layout of folders; label fixes
listing.py                    list the images of any kind of source
readability.py                check that an image can be decoded
deduplication.py              copies of an image, and contradictory labels
rare_classes.py, moving.py    an image of each class in each split
transforms.py                 the Beam transforms
ingest.py                     all steps in their order
summary.py                    counts, warnings, and checks that stop a run
fingerprint.py                identify the data, for TFX's cache
component.py, executor.py     the TFX component

`quality` judges the content of images. `validation` checks the schema of the records.
"""
