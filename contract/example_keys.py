"""Keys of the tf.Examples that components pass to each other.

They follow the TensorFlow model garden.
"""

# --- Raw examples, written by ImageExampleGen ---------------------------------
IMAGE_KEY = "image/encoded"
"""The encoded image, bytes of a JPEG, PNG, GIF, BMP or WebP file."""
FORMAT_KEY = "image/format"
"""Format of the encoded bytes, one of `IMAGE_FORMATS`. The file's name is ignored."""
HEIGHT_KEY = "image/height"
"""Height in pixels after EXIF orientation, int64."""
WIDTH_KEY = "image/width"
"""Width in pixels after EXIF orientation, int64."""
FILENAME_KEY = "image/filename"
"""Path relative to the data set's root, UTF-8."""
CLASS_NAME_KEY = "image/class/text"
"""Class name, UTF-8."""
CONTENT_HASH_KEY = "image/key"
"""SHA-256 of the encoded bytes, 64 lower-case hexadecimal digits."""
SOURCE_KEY = "image/source"
"""Top folder or manifest that holds the image, for evaluation by slice."""
COLUMN_PREFIX = "column/"
"""Prefix of a manifest's additional columns, UTF-8, for evaluation by slice."""

IMAGE_FORMATS = ("jpeg", "png", "gif", "bmp", "webp")

# --- Transformed examples -----------------------------------------------------
PIXELS_KEY = "image/pixels"
"""float32 (H, W, 3), resized and normalised for the preset's backbone."""
LABEL_KEY = "image/class/label"
"""Label, int64: the index of the class name in the label map."""
CLASS_NAMES_VOCABULARY = "class_names"
"""File name of the label map among the Transform graph's vocabularies."""

# --- Bottleneck features ------------------------------------------------------
FEATURES_KEY = "features"
"""float32, the backbone's output, flattened in row-major order."""
FEATURES_FILE_KEY = "features/file"
"""File of the store that holds the features, as `<namespace>/<file>`, in place of
`FEATURES_KEY`."""
FEATURES_ROW_KEY = "features/row"
"""Row of the features in that file, int64."""
