"""What all parts of graft agree on: names, labels, errors and the base of every config.

example_keys.py     keys of the tf.Examples
split_names.py      the splits, and what each may be used for
signature_names.py  signatures, inputs, outputs and assets of an exported model
label_map.py        class names and their labels
errors.py           the errors that a user can mend
strict_model.py     the base class of configs

Every other package may import this one; it imports none of them. Only small, pure
modules live here: no TensorFlow, no TFX, no file access.
"""
