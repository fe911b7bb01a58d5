"""Keys of the tf.Examples that the pipeline passes on.

They follow the TensorFlow model garden.
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
