"""Clients and servers of the exported model; nothing here needs TFX, Beam or Keras."""
