"""Names of the exported model that the client needs.

They are a contract with models that are already deployed, so they can't change. graft's
own list, `graft.contract.signature_names`, holds the same names, and a test of graft
keeps the two equal. Neither imports the other: the client installs without graft, and
graft's contract must load without grpcio.
"""

IMAGES_SIGNATURE = "predict_images"
"""Takes encoded images, string (N,), as `IMAGES_INPUT`."""
EACH_SIGNATURE = "predict_images_each"
"""As `IMAGES_SIGNATURE`, but a bad image fails alone, with a text in `ERROR_OUTPUT`."""
CLASSIFY_SIGNATURE = "classify"
"""Takes serialized tf.Examples, string (N,), as `inputs`, and returns `classes`."""
IMAGES_INPUT = "images"
PROBABILITIES_OUTPUT = "probabilities"
"""float32 (N, K), in the order of the class names; rows sum to 1."""
LABEL_OUTPUT = "label"
"""string (N,), the class name of the greatest probability, or `UNKNOWN_LABEL`."""
UNKNOWN_LABEL = "unknown"
"""Label of an image whose greatest probability is below the model's threshold."""
ERROR_OUTPUT = "error"
"""string (N,), of `EACH_SIGNATURE`: empty for an image that was classified."""
IMAGE_KEY = "image/encoded"
"""Feature of a tf.Example that holds the encoded image."""
