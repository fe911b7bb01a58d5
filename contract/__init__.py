"""What all packages of graft share: names, labels, errors and the config base.

example_keys.py     keys of the tf.Examples
split_names.py      the splits and their purposes
signature_names.py  signatures, inputs, outputs and assets of an exported model
class_name.py       the rule of what a class name is
label_map.py        class names and their labels
errors.py           the errors that a user can fix
strict_model.py     the base class of configs

Every other package may import this one. It imports none of them. Its modules are small
and pure: no TensorFlow, no TFX, no file access.
"""
