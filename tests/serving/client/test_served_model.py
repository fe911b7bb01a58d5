"""The clients against the embedded server and a real model."""

from __future__ import annotations

import asyncio

import pytest

from graft_client import (
    AsyncPredictionClient,
    CallError,
    Prediction,
    PredictionClient,
    PredictionError,
    wire,
)

NAMES = ("red", "green", "blue")


def connect(server, **settings):
    return PredictionClient(server.target, name="colours", **settings)


def test_answers_come_in_order_with_everything_in_them(server, colours):
    wanted = [*NAMES, *reversed(NAMES)] * 9
    with connect(server, batch_size=4) as client:
        predictions = client.predict(colours[name] for name in wanted)

    assert [each.class_name for each in predictions] == wanted
    first = predictions[0]
    assert first.model_version == 1
    assert first.class_names == NAMES
    assert first.score == max(first.probabilities) == first.probabilities[0]
    assert sum(first.probabilities) == pytest.approx(1)
    assert first.top(1) == [("red", first.score)]
    assert len(first.top(2)) == 2


def test_async_gives_what_sync_gives(server, colours):
    images = [colours[name] for name in NAMES] * 5

    async def ask():
        async with AsyncPredictionClient(
            server.target, name="colours", batch_size=4
        ) as client:
            status = await client.model_status()
            each = [one async for one in client.predict_each([images[0], b"no image"])]
            return await client.predict(images), each, status

    answers, each, status = asyncio.run(ask())
    with connect(server) as client:
        assert answers == client.predict(images)
    assert isinstance(each[1], PredictionError)
    assert status == {1: wire.AVAILABLE}


def test_a_bad_image_fails_alone(server, colours):
    images = [colours["red"]] * 5 + [b"no image"] + [colours["blue"]] * 5
    with connect(server) as client:
        outcomes = list(client.predict_each(images))
        with pytest.raises(PredictionError, match=r"Image 5 .*INVALID_ARGUMENT"):
            client.predict(images)

    assert [type(each) for each in outcomes].count(Prediction) == 10
    assert outcomes[5].index == 5
    assert outcomes[5].code == "INVALID_ARGUMENT"
    assert outcomes[10].class_name == "blue"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"name": "nothing"}, "NOT_FOUND"),
        ({"name": "colours", "version": 9}, "NOT_FOUND"),
        ({"name": "colours", "label": "canary"}, "INVALID_ARGUMENT"),
    ],
    ids=["model", "version", "label"],
)
def test_a_wrong_choice_is_an_error_with_its_code(server, colours, settings, code):
    with PredictionClient(server.target, **settings) as client:
        with pytest.raises((CallError, PredictionError)) as caught:
            client.predict([colours["red"]])
    assert caught.value.code == code
