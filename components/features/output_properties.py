"""Names of the custom properties of BottleneckFeatures' output."""

from __future__ import annotations

ENGINE = "engine"
"""The engine that computes features, with its precision."""

FROM_STORE, COMPUTED, DAMAGED = "from_store", "computed", "damaged_files"
"""Numbers of images read from the store, images computed, and damaged files."""
