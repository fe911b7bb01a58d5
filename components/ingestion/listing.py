"""List the images of a data set of any layout."""

from __future__ import annotations

import itertools
import logging
import re
from collections import Counter
from collections.abc import Sequence

from graft.components.ingestion.copies.doubtful_names import warn_of_doubtful_names
from graft.components.ingestion.copies.names_in_several_splits import (
    warn_of_names_in_several_splits,
)
from graft.components.ingestion.copies.series_of_images import warn_of_series
from graft.components.ingestion.folders import folders
from graft.components.ingestion.folders.folder_layout import list_folder
from graft.components.ingestion.folders.given_layouts import warn_of_splits_in_classes
from graft.components.ingestion.names.labels_of_other_things import (
    require_classes,
    warn_of_scores,
)
from graft.components.ingestion.sources import built_in
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.doubtful_labels import (
    warn_of_doubtful_labels,
    warn_of_misspelt,
)
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.label_codes import warn_of_two_codes
from graft.components.ingestion.sources.labels import warn_of_missing
from graft.components.ingestion.sources.layout import (
    detect_format,
    record_files,
    require_all_shards,
    require_file,
    require_folder,
)
from graft.components.ingestion.sources.similar_classes import unite_similar_classes
from graft.components.ingestion.sources.source import Listing
from graft.components.ingestion.sources.tag_sets import (
    require_no_tag_sets,
    warn_of_joined_labels,
)
from graft.components.ingestion.tables import manifests, records
from graft.components.ingestion.tables.path_splits import warn_of_unread_splits
from graft.contract.split_names import SPLITS
from graft.storage.paths import expand_home

logger = logging.getLogger(__name__)

_POSITION = re.compile(r":\d+$")
"""How the name of a record without a name ends."""
_MOST_JUDGED = 300_000
# How to leave an image out, for layouts whose labels are not in class folders. For
# class folders, the detection of the layout asks.
_MENDS = {
    "csv": "remove their lines from the manifest",
    "jsonl": "remove their lines from the manifest",
    "class_pattern": "let `class_pattern` match the other files only",
    "tiny_imagenet": "remove them",
    "roboflow": "remove them",
    "tfrecord": "write the records without them",
}


def list_images(config: DataConfig, work_folder: str) -> Listing:
    """List the images in one pass over the data set's names.

    Args:
        config: Location and layout of the data.
        work_folder: Folder for images that have no file of their own and no position
            in a file: those of built-in data sets and of gzipped TFRecords.

    Returns:
        The references in a fixed order, and the counts of ignored files.

    Raises:
        DataError: The data don't exist, contradict `config`, or hold a bad label.
    """
    found = _list(config, work_folder)
    judged = _judged(found)
    if found.layout in _MENDS:
        found.warnings += warn_of_doubtful_names(judged, _MENDS[found.layout])
    if found.layout == "class_pattern" and all(r.splits == SPLITS for r in found.refs):
        found.warnings += warn_of_splits_in_classes(found.refs)
        names = [ref.name for ref in found.refs]
        labels = [ref.class_name for ref in found.refs]
        found.warnings += warn_of_unread_splits(names, labels)
    found.warnings += warn_of_names_in_several_splits(judged)
    found.warnings += warn_of_series(judged)
    unite_similar_classes(found, config)
    counts = Counter(ref.class_name for ref in found.refs)
    if found.layout not in ("csv", "jsonl", "tfrecord"):
        # A folder is named by a person, and a program names no folder "None".
        found.warnings += warn_of_misspelt(counts)
    else:
        found.warnings += warn_of_missing(counts)
        found.warnings += warn_of_joined_labels(counts, config)
        found.warnings += warn_of_two_codes(counts)
        found.warnings += warn_of_scores(counts, config)
        found.warnings += warn_of_doubtful_labels(counts)
    return found


def _judged(found: Listing) -> Sequence[ImageRef]:
    """Return the images whose names are judged, of TFRecords a bounded number."""
    if found.layout != "tfrecord":
        return found.refs
    named = (ref for ref in found.refs if not _POSITION.search(ref.name))
    judged = list(itertools.islice(named, _MOST_JUDGED))
    if len(judged) == _MOST_JUDGED:
        logger.info(
            "Looked for copies and masks by name among the first %d images.",
            _MOST_JUDGED,
        )
    return judged


def _list(config: DataConfig, work_folder: str) -> Listing:
    path = expand_home(config.path)
    layout = detect_format(config)
    if layout in ("keras", "sklearn"):
        return built_in.list_images(config, work_folder)
    if layout in ("csv", "jsonl"):
        require_file(path, layout)
        return manifests.list_images(path, layout, config)
    if layout == "tfrecord":
        entries, left_aside = record_files(path)
        require_all_shards(path, entries)
        found = records.list_images(entries, config, work_folder)
        found.ignored.update(left_aside)
        places = dict.fromkeys(found.spellings, repr(path))
        require_classes(places, config)
        require_no_tag_sets(places, config)
        return found
    require_folder(path)
    tree, folder_layout = list_folder(path, config)
    return folders.list_images(tree, path, folder_layout, config)
