"""Names of classes that may mean something else are told; others are not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.doubtful_labels import warn_of_doubtful_labels
from graft.components.ingestion.sources.label_codes import warn_of_two_codes
from graft.components.ingestion.sources.labels import (
    text_of_cell,
    text_of_label,
    warn_of_missing,
)
from graft.components.ingestion.sources.similar_classes import skeleton_of
from graft.components.ingestion.sources.tag_sets import warn_of_joined_labels
from graft.contract.errors import DataError

_CONFIG = DataConfig(path="x")


def _counts(labels: str) -> Counter[str]:
    return Counter(dict.fromkeys(labels.split(","), 4))


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ("2024-01-01,2024-01-02", "Labels that are dates: '2024-01-01'"),
        ("3-May,5-Oct,DEC1", "Labels that are dates: '3-May'"),
        ("01.02.2024,02.02.2024", "Labels that are dates"),
        ("1E+05,2E+05", "Labels that are numbers such as 1E+05"),
        ("0,1,255", "The label '255' (4) may stand for a missing or ignored value"),
        ("0,1,2,99", "The label '99' (4) may stand"),
        ("animal,animal/cat,animal/dog", "Labels of two levels: 'animal' (4)"),
        ("animal,animal > cat,thing", "Labels of two levels: 'animal' (4)"),
        ("cat->dog,cat,dog", "Labels with an arrow: 'cat->dog' (4)"),
        ("cat => dog,cat,dog", "Labels with an arrow: 'cat => dog' (4)"),
        ("cat\u2192dog,cat,dog", "Labels with an arrow: 'cat\u2192dog' (4)"),
        ("cat (maybe),cat,dog", "not sure: 'cat (maybe)' (4)"),
        ("probably cat,cat,dog", "not sure: 'probably cat' (4)"),
        ("Katze (vielleicht),Katze", "not sure: 'Katze (vielleicht)' (4)"),
        ("cat?,cat,dog", "not sure: 'cat?' (4)"),
        ("cat,dog,both", "stand for several others: 'both' (4)"),
        ("Katze,Hund,beide", "stand for several others: 'beide' (4)"),
        ("a,b,none of the above", "stand for several others: 'none of the above'"),
        ("M+APY-we,cat", "'M+APY-we' for 'Möwe'"),
        ("M&ouml;we,cat", "'M&ouml;we' for 'Möwe'"),
        ("M&#246;we,cat", "'M&#246;we' for 'Möwe'"),
        ("<b>cat</b>,dog", "'<b>cat</b>' for 'cat'"),
        ("M%C3%B6we,cat", "'M%C3%B6we' for 'Möwe'"),
        (r"M\u00f6we,cat", "for 'Möwe'"),
        ("M=C3=B6we,cat", "'M=C3=B6we' for 'Möwe'"),
        ("xn--mwe-sna,cat", "'xn--mwe-sna' for 'möwe'"),
        ("M\u00c3\u00b6we,cat", "for 'Möwe'"),
        ("cat.jpg,dog", "names of image files: 'cat.jpg' (4)"),
        ("cat,cats,dog", "Classes in the singular and the plural: 'cat, cats'"),
        ("Fox,foxes", "Classes in the singular and the plural: 'Fox, foxes'"),
    ],
)
def test_doubtful_labels_are_told(labels: str, told: str) -> None:
    (warning,) = warn_of_doubtful_labels(_counts(labels))
    assert told in warning


@pytest.mark.parametrize(
    "labels",
    [
        "cat,dog,owl",
        "C++,A+,B-",
        "R&D,A&B",
        "<5,>5",
        "50%,20%ab",
        "café,Ångström,Möwe",
        "all,none",
        "v1.0,v2.0",
        "0,1,2,3,4,5,6,7,8,9",
        "0,1,2",
        "1,9",
        "98,99,100",
        "1.2.3,1.2.4",
        "may,june,july",
        "cat/dog,cat,dog",  # told as joined labels
        "1/2,1,2",
        "as,ass",
        "Apple Red 1,Apple Red 2,Apple Red 3",
        "1E,2E",
        "plane,plate",
        ">50,<50",
        "->,<-",
        "unlikely,certain",
        "mayflower,Maybelline",
    ],
)
def test_plain_labels_are_not_told(labels: str) -> None:
    assert warn_of_doubtful_labels(_counts(labels)) == []


@pytest.mark.parametrize(
    ("rare", "name"),
    [
        ("gorila", "gorilla"),
        ("Tomatoe", "tomato"),
        ("mellon", "melon"),
        ("lionn", "lion"),
    ],
)
def test_rare_classes_that_may_be_misspelt_are_told(rare: str, name: str) -> None:
    found = warn_of_doubtful_labels({rare: 3, name: 300, "other": 200})
    is_long = len(name) >= 5
    assert ("Rare classes that may be misspelt" in " ".join(found)) == is_long
    assert not warn_of_doubtful_labels({rare: 100, name: 300})


@pytest.mark.parametrize(
    "labels",
    ["yes,no,Y", "0,0: cat,1: dog", "cat,0_cat,1_dog", "n01440764,n01440764 tench"],
)
def test_ids_beside_names_are_two_codes(labels: str) -> None:
    (warning,) = warn_of_two_codes(_counts(labels))
    assert "two codes" in warning


@pytest.mark.parametrize("labels", ["1 star,2 stars", "0_cat,1_dog", "yes,no", "3d,2d"])
def test_numbers_in_names_are_one_code(labels: str) -> None:
    assert warn_of_two_codes(_counts(labels)) == []


@pytest.mark.parametrize(
    ("labels", "joined"),
    [
        (
            "haze primary,clear primary,agriculture clear primary water,cloudy,"
            "clear primary water,agriculture haze primary",
            "haze primary",
        ),
        ("clear,clear primary,haze primary", "clear primary"),
        ("scab,complex,rust,scab frog_eye complex", "scab frog_eye complex"),
        ("cat,dog,cat or dog", "cat or dog"),
        ("Katze,Hund,Katze oder Hund", "Katze oder Hund"),
    ],
)
def test_labels_that_may_join_tags_are_told(labels: str, joined: str) -> None:
    (warning,) = warn_of_joined_labels(_counts(labels), _CONFIG)
    assert repr(joined) in warning


@pytest.mark.parametrize(
    "labels",
    [
        "white shark,great white shark,shark",
        "polar bear,brown bear,bear",
        "hot dog,dog,pizza",
        "red fox,grey wolf",
        "apple pie,banana bread,carrot cake",
    ],
)
def test_names_of_several_words_are_not_told(labels: str) -> None:
    assert warn_of_joined_labels(_counts(labels), _CONFIG) == []


@pytest.mark.parametrize(
    "name", "unsure TODO skip unlabeled unbekannt inconnu 未知 ERROR".split()
)
def test_words_for_no_label_are_told(name: str) -> None:
    (warning,) = warn_of_missing({name: 3, "cat": 9})
    assert repr(name) in warning


@pytest.mark.parametrize(
    "text",
    [
        '{"choices": ["cat", "dog"]}',
        "{'name': 'cat', 'score': 0.9}",
        '[{"label": "cat"}]',
        '[["cat"], ["dog"]]',
    ],
)
def test_json_in_a_cell_is_no_label(text: str) -> None:
    with pytest.raises(ValueError, match="as a program prints it"):
        text_of_label(text)


@pytest.mark.parametrize("text", ["[unk]", "{a}", "(cat's)", "a: {'b'}"])
def test_brackets_without_quoted_keys_are_names(text: str) -> None:
    assert text_of_label(text) == text


@pytest.mark.parametrize("text", ["\u22121", "\u22120.5", "\u22120,5"])
def test_the_minus_of_typesetters_is_a_minus(text: str) -> None:
    with pytest.raises(ValueError, match=r"negative number|fraction"):
        text_of_cell(text)


def test_commas_of_thousands_are_the_form_of_a_number() -> None:
    assert skeleton_of("1,000") == skeleton_of("1000")
    assert skeleton_of("1,00") != skeleton_of("100")


def test_scores_in_percent_are_no_classes(tmp_path: Path) -> None:
    lines = [f"{n}.jpg,cat {n}%" for n in range(10, 20)]
    (tmp_path / "m.csv").write_text("\n".join(["path,label", *lines]))
    with pytest.raises(DataError, match="a class and a score each"):
        list_images(DataConfig(path=str(tmp_path / "m.csv")), "")


def test_doubtful_labels_of_a_manifest_are_told(tmp_path: Path) -> None:
    lines = [f"{n}.jpg,{('cat', 'cats')[n % 2]}" for n in range(10)]
    (tmp_path / "m.csv").write_text("\n".join(["path,label", *lines]))
    found = list_images(DataConfig(path=str(tmp_path / "m.csv")), "")
    assert any("singular and the plural" in each for each in found.warnings)
