"""Serving the exported model, without TFX, Beam or Keras.

embedded       a server that answers as TensorFlow Serving does
client         graft-client, a distribution of its own (import name `graft_client`)
load           the load test; `local_model` predicts in this process
model_store    pushed models on disk; `image_files` finds images for the commands
"""
