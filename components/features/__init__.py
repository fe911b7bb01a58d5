"""The frozen backbone, run over each image once: bottleneck features for the head.

extraction.py        the Beam transform
image_batches.py     images of a shard, decoded, in batches
feature_records.py   the records that are read and written
store.py, store_files.py, store_upkeep.py   the store of features: key, files, clean-up
output_properties.py what the output artifact says of the work
component.py, executor.py, config.py   the TFX component and its config

Backbones and the engines that run them are in `graft.trainer.backbones`.
"""
