"""Pretrained backbones: presets, architectures, weights, and engines that run them."""
