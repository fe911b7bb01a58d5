"""Training: epochs, inputs, augmentation, optimizers, checkpoints, and tuning.

training.py        train a head on features, or a network on images
linear_heads.py    fit a linear head on features without epochs
streamed_heads.py  train a head on features that don't fit in memory
feature_source.py  stored features, as an array or as a stream
feature_streams.py checked streams of both splits
training_loop.py   epochs, schedules, early stopping
head_epochs.py     train a head on features by gradient steps
array_epochs.py    run an epoch on features
stream_epochs.py   run an epoch on features that are read anew
image_epochs.py    run an epoch on images
input_fn.py        read images
augmentation.py    random changes of training images
fine_tuning.py     unfreeze blocks of the backbone
optimizer.py       optimizers and learning rates
devices.py         GPUs and number formats
checkpoint.py      checkpoints of networks
array_checkpoint.py  checkpoints of solvers
state_file.py      the state file of both
event_files.py     TensorBoard's event files
early_checks.py    find mistakes in a config before the first image is read
tuning.py          `graft tune`: search for a head
tuning_features.py the features that it trains on

The solvers of linear heads are in `heads`.
"""
