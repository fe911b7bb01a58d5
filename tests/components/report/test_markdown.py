"""A text of others stays text in Markdown, as a real parser reads it."""

from __future__ import annotations

import re

import jinja2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from graft.components.report import markdown
from graft.components.report.page import TEMPLATES

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TEXTS = st.text(
    st.one_of(st.sampled_from("\\`*_[](){}<>#+-=!|~&:.@ \n\t1a\"'"), st.characters())
)
NASTY = [
    "<img src=x onerror=alert(1)>",
    "[cat](javascript:alert(1))",
    "![x](http://a/b)",
    "a | b",
    "- item",
    "1. item",
    "# heading",
    "&lt;b&gt;",
    "two\nlines\n\n<script>",
    "`code`",
    "**bold** _it_ ~~no~~",
    "<http://example.org>",
    "\\",
    "---",
]
PLACES = {
    "cell": "| a | b |\n|---|---|\n| {} | 2 |\n",
    "item": "- {} end\n",
    "sentence": "Begin {} end\n",
    "heading": "# {} end\n",
}


def shown(text: str) -> str:
    """Return the text without white space, of which Markdown drops some."""
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", "", text)


def flat(tokens: list[Token]) -> list[Token]:
    return [inner for token in tokens for inner in [token, *flat(token.children or [])]]


def read(place: str, inserted: str) -> tuple[str, set[str]]:
    """Return the page's text and the kinds of its tokens."""
    tokens = flat(PARSER.parse(PLACES[place].format(inserted)))
    text = "".join(
        token.content if token.type != "softbreak" else " "
        for token in tokens
        if token.type in {"text", "text_special", "code_inline", "softbreak"}
    )
    return text, {token.type for token in tokens}


def check(place: str, inserted: str, text: str) -> None:
    plain, kinds = read(place, "PLAIN")
    found, found_kinds = read(place, inserted)
    assert found_kinds - {"text_special", "code_inline"} <= kinds
    assert shown(found) == shown(plain.replace("PLAIN", f"{text}"))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts(place: str, text: str) -> None:
    check(place, str(markdown.escape_text(text)), text)


def test_numbers_stay_readable_in_the_source():
    assert markdown.escape_text("0.9775") == "0.9775"


@settings(deadline=None)
@given(place=st.sampled_from([*PLACES]), text=TEXTS)
@example("item", "1) x")
@example("cell", "\\|")
def test_any_text(place: str, text: str) -> None:
    check(place, str(markdown.escape_text(text)), text)


@settings(deadline=None)
@given(place=st.sampled_from(["item", "sentence", "heading"]), text=TEXTS)
def test_any_code(place: str, text: str) -> None:
    inserted = markdown.code(text)
    found, kinds = read(place, inserted)
    assert "code_inline" in kinds
    assert shown(found) == shown(read(place, "PLAIN")[0].replace("PLAIN", text))


def test_all_values_of_the_card_are_escaped() -> None:
    """No value stands in backticks of the template, where nothing escapes it."""
    source = (TEMPLATES / "model_card.md.jinja").read_text()
    assert not re.search(r"`\{\{|\}\}`", source)
    environment = jinja2.Environment(finalize=markdown.escape_text)
    assert environment.from_string("{{ x }}").render(x="<b>") == "&lt;b&gt;"
