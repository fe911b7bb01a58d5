"""Build, train and export models.

Each package may import only those above it in this list. `make check` enforces this:

    config         model and training config; `custom_config` has keys for TFX
    decoding       the bytes of an image file to RGB pixels
    preprocessing  pixels to the backbone's input
    backbones      pretrained networks, their weights, and engines that run them
    heads          new layers after a backbone, and their losses and solvers
    loops          training: epochs, optimizers, checkpoints, the search for a head
    export         the SavedModel that is served
    warm_start     may a solver start from the head in production?
    run_fn         the function that TFX's Trainer calls

TFX components and artifacts are in `graft.components`.
"""
