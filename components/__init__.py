"""The TFX components, one package each; none of them wires another.

A package may import those above it in this list, which `make check` enforces:

    ingestion     labelled images of many layouts to checked, split tf.Examples
    validation    statistics, and the stop at an anomaly of severity error
    features      the frozen backbone over each image once
    quality       leaks, copies, poor images and doubtful labels
    evaluation    the gate: measure a candidate, compare it, judge it
    publishing    the model store: versions, labels, rollback, what a run sees of it
    training      TFX's Trainer, after a look at the head in production
    canary        serve a candidate before it is pushed
    report        one page per run, and the model card

`transform` is the preprocessing_fn of TFX's Transform. All packages share
`artifact_files`, `pictures` and `progress`.

`graft.pipeline.pipeline` connects the components. Models and training are in
`graft.trainer`, the reading and writing of files in `graft.storage`, with the store of
what was computed of images.
"""
