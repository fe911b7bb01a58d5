"""Names with the same addition to those of other images are found."""

from __future__ import annotations

import pytest

from graft.components.ingestion.copies.name_additions import names_without_additions

IMAGES = {"img_2001", "img_2002", "img_2003", "7f3a", "9b1c", "d4e5"}


def _found(stems: list[str], own: str = "sub") -> set[str]:
    return set(names_without_additions(stems, IMAGES.__contains__, own).values())


@pytest.mark.parametrize(
    "name",
    ["{}", "{}-Edit", "{}_s", "s_{}", "x1_{}", "{} copy", "{}_cat", "{}.min", "{}@x2"],
)
@pytest.mark.parametrize(
    "images", [("IMG_2001", "img_2002", "Img_2003"), ("7f3a", "9B1C", "d4e5")]
)
def test_images_are_found_behind_an_addition(
    images: tuple[str, ...], name: str
) -> None:
    found = _found([name.format(image) for image in images])
    assert found == {image.casefold() for image in images}


@pytest.mark.parametrize(
    "stems",
    [
        ["IMG_2001_1", "IMG_2002_1", "IMG_2003_1"],  # numbers are series
        ["7f3a_sub", "9b1c_sub", "d4e5_sub"],  # the folder's own name
        ["7f3a_test", "9b1c_test", "d4e5_test"],  # a split
        ["7f3a_s", "aaaa_s", "bbbb_s"],  # few are images
        ["7f3as", "9b1cs", "d4e5s"],  # no word of its own
        [],
    ],
)
def test_other_names_are_no_images_with_an_addition(stems: list[str]) -> None:
    assert _found(stems) == set()


def test_a_number_behind_a_hash_is_an_addition() -> None:
    assert _found(["7f3a_0", "9b1c_0", "d4e5_1"]) == {"7f3a", "9b1c", "d4e5"}


def test_an_addition_of_few_names_is_none() -> None:
    """Of names that all have another addition, none is a copy."""
    images = {f"i{number}x" for number in range(30)}
    stems = [f"i{n}x_{chr(97 + n % 15)}{chr(97 + n // 15)}z" for n in range(30)]
    assert names_without_additions(stems, images.__contains__, "") == {}
