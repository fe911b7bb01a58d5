"""Names of what BottleneckFeatures tells on its output, as custom properties."""

from __future__ import annotations

ENGINE = "engine"
"""What computes features, with its precision."""

FROM_STORE, COMPUTED, DAMAGED = "from_store", "computed", "damaged_files"
"""Numbers of images in the store and not, and of files of the store found damaged."""
