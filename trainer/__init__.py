"""Models: how an image is read, which backbone sees it, how a head is trained.

A package may import those above it in this list, which `make check` enforces:

    config         what a user may choose; `custom_config` names what TFX passes on
    decoding       the bytes of an image file to RGB pixels
    preprocessing  pixels to the backbone's input
    backbones      pretrained networks, their weights, and engines that run them
    heads          new layers after a backbone, and their losses and solvers
    loops          training: epochs, optimizers, checkpoints, the search for a head
    export         the SavedModel that is served
    run_fn         what TFX's Trainer calls

Components and artifacts of TFX are in `graft.components`.
"""
