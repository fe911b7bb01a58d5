"""From a data config to references of all its images, whatever the data's layout."""

from __future__ import annotations

from graft.components.ingestion import (
    built_in,
    folders,
    manifests,
    records,
)
from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.folder_layout import list_folder
from graft.components.ingestion.layout import (
    detect_format,
    record_files,
    require_file,
    require_folder,
)
from graft.components.ingestion.similar_classes import unite_similar_classes
from graft.components.ingestion.source import Listing
from graft.storage.paths import expand_home


def list_images(config: DataConfig, work_folder: str) -> Listing:
    """List the images; one pass over the data set's names.

    Args:
        config: Where the data lies and how.
        work_folder: A folder for bytes that exist in no file that can be read from the
            middle: images of a Keras data set, of gzipped TFRecords.

    Returns:
        The references, in a fixed order, and what was left aside.

    Raises:
        DataError: There is nothing there, it isn't what `config` says, or a label
            can't be taken whole.
    """
    found = _list(config, work_folder)
    unite_similar_classes(found, config)
    return found


def _list(config: DataConfig, work_folder: str) -> Listing:
    path = expand_home(config.path)
    layout = detect_format(config)
    if layout in ("keras", "sklearn"):
        return built_in.list_images(config, work_folder)
    if layout in ("csv", "jsonl"):
        require_file(path, layout)
        return manifests.list_images(path, layout, config)
    if layout == "tfrecord":
        return records.list_images(record_files(path), config, work_folder)
    require_folder(path)
    tree, folder_layout = list_folder(path, config)
    return folders.list_images(tree, path, folder_layout, config)
