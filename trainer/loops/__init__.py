"""Training by epochs: inputs, augmentation, optimizers, checkpoints, and the search.

training.py        fit a head on features, or a network on images
training_loop.py   epochs, schedules, early stopping
array_epochs.py, image_epochs.py   an epoch on features; an epoch on images
input_fn.py        read features and images
augmentation.py    random changes of training images
fine_tuning.py     which blocks are unfrozen
optimizer.py, devices.py   optimizers; GPUs and number formats
checkpoint.py, event_files.py   checkpoints; TensorBoard's files
early_checks.py    mistakes of a config, found before the first image is read
tuning.py          `graft tune`: the search for a head

Solvers that need no epochs are in `heads`.
"""
