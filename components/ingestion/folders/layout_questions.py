"""The questions about class folders that may be something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from graft.components.ingestion.folders.layout_options import (
    flat_options,
    options_beside_classes,
    options_of_each_folder,
    options_of_splits,
    read_as_classes,
    read_by_parts,
    read_parts_with_splits,
    table_options,
)
from graft.components.ingestion.folders.split_guesses import (
    hint_about_splits,
    options_of_guessed_splits,
    options_of_rest_as_train,
    options_of_unnamed_splits,
)
from graft.components.ingestion.names.class_levels import (
    folders_that_may_be_classes,
    holds_images_itself,
    options_of_levels,
)
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    are_names_of_splits,
    are_shards,
    is_condition,
    is_fold,
    is_origin,
    is_part,
    is_source,
    role_of,
    role_of_any_word,
    roles_of,
    stem_of_part,
)
from graft.components.ingestion.names.object_exports import as_option
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Option,
    Question,
    SplitFolders,
    settings_as_arguments,
)
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import (
    TRAIN_ROLE,
)
from graft.components.ingestion.tables.label_tables import (
    TABLE_EXTENSIONS,
    LocatedTable,
    Table,
    label_tables,
)
from graft.components.ingestion.tables.table_labels import choose_labels
from graft.contract.counts import agree

_FEWEST_CLASSES = 2


def ask_about_parts(
    root: Folder, tops: list[Folder], tables: Sequence[Table]
) -> Question | None:
    """Ask about folders that may be parts of one data set, such as `images_001`.

    Their names differ by a number or letter only. Without a table of labels beside
    them, their names must also mean images or parts in general.
    """
    beside = [name for name in root.others if name.lower().endswith(TABLE_EXTENSIONS)]
    stems = {stem_of_part(top.name) for top in tops}
    if len(stems) > 1 or "" in stems:
        return None
    names = some_of([top.name for top in tops])
    if beside:
        finding = (
            f"The folders {names} may be parts of one data set, whose classes are in "
            f"{some_of(beside)}. If the table names the images without these folders, "
            f"move them into one folder{_then(root, tables)}."
        )
    elif all(top.is_flat and is_part(top.name) for top in tops):
        finding = (
            f"The folders {names} may be parts of one data set, and not classes. Move "
            "each image into a folder named after its class, or give a manifest with "
            "the columns path and label."
        )
    else:
        return None
    whole = [
        option
        for option in table_options(root, tables)
        # With the name of one part, a table would name the images of that part only.
        if "image_folder" not in option.settings
    ]
    # The folders are no classes, if a table names the images of all of them.
    is_named = bool(label_tables(root, tables)) and not whole
    return Question(finding, (*whole, *(() if is_named else read_as_classes(root))))


def _then(root: Folder, tables: Sequence[Table]) -> str:
    """Say how to read the table of images that were moved into one folder."""
    for located in label_tables(root, tables):
        choice = choose_labels(located)
        above, _, name = located.table.name.rpartition("/")
        if choice.column and located.image_column:
            words: dict[str, object] = {
                "path_column": located.image_column,
                "label_column": choice.column,
                "image_folder": "images",
            }
            settings = settings_as_arguments(Option(words, ""), root.path)
            where = f" in {above!r}" if above else ""
            return (
                f", such as 'images'{where}, give {name!r} as `data.path`, and add "
                f"`{settings}`"
            )
    return ""


def ask_about_tables(
    root: Folder, layout: FolderLayout, tables: Sequence[LocatedTable]
) -> Question | None:
    """Ask about a table that gives the images other labels than their folders do.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
        tables: Its tables of labels.
    """
    for located in tables:
        ambiguous = located.ambiguous_labels()
        if ambiguous:
            return _ask_about_ambiguous_names(root, layout, located, ambiguous)
        columns = located.other_labels()
        if not columns:
            continue
        names = sorted(top.name for top in root.filled)
        move = (
            ""
            if located.reads_all
            else " No config reads the table as it stands: if it has the classes, move "
            "the images into one folder, or write their folders into the table."
        )
        return Question(
            f"{located.table.name!r} names the images, and groups them by the "
            f"{agree(len(columns), 'column', 'columns')} {some_of(columns)} in another "
            f"way than the folders {some_of(names)} do. Either of them may be the "
            f"classes.{move}",
            (
                *table_options(root, [located.table]),
                as_option(root, layout),
            ),
        )
    return None


def _ask_about_ambiguous_names(
    root: Folder, layout: FolderLayout, located: LocatedTable, columns: list[str]
) -> Question:
    return Question(
        f"{located.table.name!r} labels images by the "
        f"{agree(len(columns), 'column', 'columns')} {some_of(columns)}, but several "
        f"of the folders {some_of(sorted(top.name for top in root.filled))} hold images"
        " of the names in it. If the table has the classes, choose its folder, or "
        "write the folders into the table.",
        (*options_of_each_folder(root, located), as_option(root, layout)),
    )


def ask_about_role_among_classes(root: Folder, tops: list[Folder]) -> Question | None:
    """Ask about a folder with the name of a split that seems to hold classes."""
    roles = roles_of([top.name for top in tops])
    beside = {top.name for top in tops if top.name not in roles}
    for top in tops:
        if top.name not in roles or top.is_flat:
            continue
        below = {child.name for child in top.filled}
        is_copy = len(below & beside) * 2 >= len(below)
        is_alone = (
            roles[top.name] == TRAIN_ROLE
            and len(beside) == 1
            and len(below) >= _FEWEST_CLASSES
        )
        if is_copy or is_alone:
            return Question(
                f"The folder {top.name!r} may be a split or a class. It holds the "
                f"folders {some_of(sorted(below))}, and other folders lie beside it: "
                f"{some_of(sorted(beside))}.{hint_about_splits(root)}",
                (
                    *options_of_guessed_splits(root),
                    *options_beside_classes(root, _roles_beside_classes(tops)),
                    *options_beside_classes(root, {top.name: roles[top.name]}),
                    *options_of_splits(root, {top.name: roles[top.name]}),
                    *read_as_classes(root),
                ),
            )
    return None


def ask_about_same_children(root: Folder, tops: list[Folder]) -> Question | None:
    """Ask about folders that hold subfolders of the same names.

    Other folders may lie beside them, such as `bird` beside `kitchen/cat` and
    `garden/cat`.
    """
    branches = [top for top in tops if top.filled and not holds_images_itself(top)]
    number = Counter(child.name for top in branches for child in top.filled)
    shared = {name for name, times in number.items() if times > 1}
    if len(branches) < len(tops):
        # Beside plain classes, these are sources of the images of a class.
        shared = {name for name in shared if role_of(name) or not is_source(name)}
    if any(top.images for top in branches):
        shared = {name for name in shared if not is_condition(name)}
    alike = [
        top
        for top in branches
        if sum(child.name in shared for child in top.filled) * 2 >= len(top.filled)
    ]
    if len(shared) < _FEWEST_CLASSES or len(alike) < _FEWEST_CLASSES:
        return None
    if all(map(role_of, shared)) and any(top.images for top in alike):
        return None  # splits in classes, which have a question of their own
    if all(is_origin(name) and not name.isdigit() for name in shared):
        return None  # `ok/2024-05-01` beside `ng/2024-05-01`; years may be classes
    finding = (
        f"The folders {some_of(sorted(top.name for top in alike))} hold folders of the "
        f"same names, {some_of(sorted(shared))}. Either level may be the classes."
        f"{hint_about_splits(root)}"
    )
    are_splits = are_names_of_splits(shared)
    options = (
        *options_of_guessed_splits(root),
        *options_of_rest_as_train(root),
        *options_beside_classes(root, _roles_beside_classes(tops)),
        *read_parts_with_splits(root),
        *(() if are_splits else read_as_classes(root)),
        *read_by_parts(root),
        *read_as_classes(root),
        *options_of_unnamed_splits(root),
    )
    if not options:
        finding += " But neither of them seems to be."
    return Question(finding, options)


def _roles_beside_classes(tops: Sequence[Folder]) -> dict[str, str]:
    """Return the roles of all folders of folders, by any word; none if one has none."""
    above = [top.name for top in tops if not top.is_flat]
    roles = {name: role for name in above if (role := role_of_any_word(name))}
    return roles if len(roles) == len(above) < len(tops) else {}


def ask_about_levels(
    root: Folder, classes: list[Folder], split_folders: SplitFolders
) -> Question | None:
    """Ask where folders in class folders may be the classes themselves.

    Args:
        root: The data set's folder.
        classes: The class folders; of splits, those in `train`.
        split_folders: The folders that are splits; empty where there are none.
    """
    inner = folders_that_may_be_classes(classes)
    if not inner:
        return None
    by_top = read_as_classes(root)
    if split_folders:
        by_top = iter([as_option(root, FolderLayout("pre_split", split_folders))])
    if all(is_fold(each.name) for each in classes):
        by_top = iter(())
    return Question(
        f"The folders {some_of(sorted(each.name for each in classes))} hold folders, "
        f"such as {some_of(inner[:2])}: either of them may be the classes.",
        (*by_top, *options_of_levels(root, split_folders)),
    )


def ask_about_origins(
    root: Folder, layout: FolderLayout, tables: Sequence[Table]
) -> Question | None:
    """Ask about folders called after dates, cameras, parts or hashes, and no class."""
    names = sorted(top.name for top in root.filled)
    if layout.split_folders or len(names) < _FEWEST_CLASSES:
        return None
    if all(map(is_origin, names)):
        what = "when or by what their images were taken"
    elif are_shards(names):
        what = "the start of a hash"
    else:
        return None
    return Question(
        f"The folders {some_of(names)} seem to be called after {what}, which is "
        "seldom a class. Move each image into a folder named after its class, or give "
        "a manifest with the columns path and label.",
        (*flat_options(root, tables), *read_as_classes(root)),
    )
