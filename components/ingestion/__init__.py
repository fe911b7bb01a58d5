"""ImageExampleGen: labelled images of many layouts become checked, split tf.Examples.

layout.py, listing.py     find out the layout, and list the images
folders.py, manifests.py, records.py, built_in.py   one module per kind of source
manifest_rows.py          the lines of a manifest, each read whole
labels.py, record_labels.py   what a label is, and what is refused
similar_classes.py        classes whose names look alike
readability.py            is a file an image that can be decoded?
deduplication.py          copies of an image, and labels that contradict each other
splitting.py              the split of an image, by a hash of its content
transforms.py             the Beam transforms
ingest.py                 all steps in their order
summary.py                counts, and the checks of them
fingerprint.py            identifies the data, for TFX's cache
component.py, executor.py, config.py   the TFX component and its config

The content of images is judged in `quality`, the schema of the records in `validation`.
"""
