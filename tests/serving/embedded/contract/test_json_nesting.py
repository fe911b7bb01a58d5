"""JSON of any depth, decoded as Python's parser decodes it where it can."""

from __future__ import annotations

import json
import random

import pytest

from graft.serving.embedded.contract.json_nesting import decode_nested

DECODER = json.JSONDecoder()
LEAVES = [1, -2.5, 'a"b', None, True, "\u00e9", "", [], {}]


def decode(text):
    return decode_nested(text, DECODER, dict)


def random_value(generator, depth=0):
    kind = generator.randrange(7)
    if depth > 5 or kind < 3:
        return generator.choice(LEAVES)
    size = generator.randrange(4)
    if kind < 5:
        return [random_value(generator, depth + 1) for _ in range(size)]
    names = [generator.choice("abc\n") for _ in range(size)]
    return {name: random_value(generator, depth + 1) for name in names}


def test_it_decodes_and_refuses_as_python_does():
    generator = random.Random(1)
    for _ in range(2000):
        value = random_value(generator)
        text = json.dumps(value, indent=generator.choice([None, 1]))
        assert decode(text) == value
        place = generator.randrange(len(text))
        changed = generator.choice('[]{},:"1x') + text[place + generator.randrange(2) :]
        changed = text[:place] + changed
        try:
            expected = DECODER.raw_decode(changed)[0]
        except json.JSONDecodeError:
            with pytest.raises(json.JSONDecodeError):
                decode(changed)
        else:
            assert decode(changed) == expected


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a": ', "}")])
def test_deep(begin, end):
    value = decode(begin * 20_000 + "1" + end * 20_000 + " x")
    depth = 0
    while value != 1:
        (value,) = value.values() if isinstance(value, dict) else value
        depth += 1
    assert depth == 20_000


def test_members_come_in_their_order():
    text = '{"a": 1, "b": [{"a": 2}], "a": 3}'
    assert decode_nested(text, DECODER, list) == [
        ("a", 1),
        ("b", [[("a", 2)]]),
        ("a", 3),
    ]
