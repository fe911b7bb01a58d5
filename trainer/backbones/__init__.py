"""Pretrained backbones: presets, architectures, weights, and engines that run them.

presets.py             one record per backbone: weights and the preprocessing they need
backbone.py            build a backbone: architecture, weights, cut and pooling
efficientnet_lite.py   an architecture that Keras does not have
weights.py, weight_files.py, torch_checkpoint.py   find, check and load weights
batch_norm_folding.py  fold batch normalization into convolutions, for export
feature_engine.py      run a frozen backbone with TensorFlow or OpenVINO
engine_names.py        names of these engines, for configs

New layers after a backbone are in `heads`. Unfreezing of blocks is in `loops`.
"""
