"""Bottleneck features: run the frozen backbone over each image once.

extraction.py        the Beam transform
image_batches.py     read the images of a shard, decoded, in batches
feature_records.py   read records of examples, write records of features
stored_features.py   read records of features
output_properties.py names of the output artifact's custom properties
component.py, executor.py, config.py   the TFX component and its config

The store of features is `graft.storage.content_store`. Backbones and the engines
that run them are in `graft.trainer.backbones`.
"""
