"""The contract between ingestion, training, evaluation and serving: names.

No TensorFlow here: a client of the served model, or a command that only prints help,
can import this module for nothing. Keys of an example follow the TensorFlow model
garden.
"""

# --- A raw example, as ImageExampleGen writes it ------------------------------
IMAGE_KEY = "image/encoded"
"""The encoded image, bytes of a JPEG, PNG, GIF, BMP or WebP file."""
FORMAT_KEY = "image/format"
"""The image's true format, one of `IMAGE_FORMATS`, whatever its file is called."""
HEIGHT_KEY = "image/height"
"""Height in pixels, as shown (after EXIF orientation), int64."""
WIDTH_KEY = "image/width"
"""Width in pixels, as shown (after EXIF orientation), int64."""
FILENAME_KEY = "image/filename"
"""Path relative to the data set's root, UTF-8."""
CLASS_NAME_KEY = "image/class/text"
"""Class name, UTF-8."""
CONTENT_HASH_KEY = "image/key"
"""SHA-256 of the encoded bytes, 64 lower-case hexadecimal digits."""
SOURCE_KEY = "image/source"
"""Top folder or manifest that the image came from: a slice to evaluate by."""
COLUMN_PREFIX = "column/"
"""Before the name of a manifest's further column, UTF-8: a slice to evaluate by."""

IMAGE_FORMATS = ("jpeg", "png", "gif", "bmp", "webp")

# --- A transformed example ----------------------------------------------------
PIXELS_KEY = "image/pixels"
"""float32 (H, W, 3), resized and normalised as the preset says."""
LABEL_KEY = "image/class/label"
"""Label, int64: the index of the class name in the label map."""
CLASS_NAMES_VOCABULARY = "class_names"
"""File name of the label map among the Transform graph's vocabularies."""

# --- A bottleneck-features example --------------------------------------------
FEATURES_KEY = "features"
"""float32, the backbone's (pooled) output, flattened in row-major order."""

# --- Splits -------------------------------------------------------------------
TRAIN_SPLIT = "train"
"""Fits weights."""
EVAL_SPLIT = "eval"
"""Stops early, tunes, chooses."""
TEST_SPLIT = "test"
"""Read by the gate and the report alone: nothing chooses on it."""
SPLITS = (TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT)

# --- The exported SavedModel --------------------------------------------------
SERVING_SIGNATURE = "serving_default"
"""One string tensor (N,) `examples` of serialized tf.Examples with `IMAGE_KEY`."""
IMAGES_SIGNATURE = "predict_images"
"""One string tensor (N,) `images` of encoded images."""
EACH_SIGNATURE = "predict_images_each"
"""As `predict_images`, but a bad image fails alone: `ERROR_OUTPUT` tells why."""
CLASSIFY_SIGNATURE = "classify"
"""One string tensor (N,) `inputs` of serialized tf.Examples, for the Classify API."""
LABELS_SIGNATURE = "transform_labels"
"""Serialized tf.Examples to labels, int64: how TFMA learns the truth."""
EXAMPLES_INPUT = "examples"
IMAGES_INPUT = "images"
PROBABILITIES_OUTPUT = "probabilities"
"""float32 (N, K), in the order of the label map, rows sum to 1."""
LABEL_OUTPUT = "label"
"""string (N,), the class name of the greatest probability, or `UNKNOWN_LABEL`."""
UNKNOWN_LABEL = "unknown"
"""Label of an image whose greatest probability is below the model's threshold."""
UNKNOWN_THRESHOLD_FILE = "unknown_threshold.txt"
"""In `assets.extra` of a model that says `UNKNOWN_LABEL`: below which probability."""
ERROR_OUTPUT = "error"
"""string (N,), of `EACH_SIGNATURE`: empty for an image that was classified."""
CLASS_NAMES_ASSET = "class_names.txt"
"""Asset of the SavedModel: one class name a line, in the order of the probabilities."""
