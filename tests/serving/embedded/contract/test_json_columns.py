"""Lists of JSON become tensors of the signature's type, whatever a library guesses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorflow_serving")
from tensorflow.core.framework import types_pb2

from graft.serving.embedded.contract.json_columns import Column
from graft.serving.embedded.contract.status import StatusError
from graft.serving.embedded.contract.tensors import to_array

LIMITS = {
    types_pb2.DT_INT64: (-(2**63), 2**63 - 1),
    types_pb2.DT_UINT64: (0, 2**64 - 1),
    types_pb2.DT_INT32: (-(2**31), 2**31 - 1),
    types_pb2.DT_UINT32: (0, 2**32 - 1),
}


def read(dtype, values):
    column = Column(dtype)
    column.add(values)
    return to_array(column.tensor(None), "x").tolist()


@pytest.mark.parametrize("dtype", sorted(LIMITS))
@given(data=st.data())
def test_integers_stay_what_they_are(dtype, data):
    low, high = LIMITS[dtype]
    edges = st.sampled_from([low, low + 1, 0, 1, high - 1, high])
    values = data.draw(st.lists(st.integers(low, high) | edges, max_size=8))
    assert read(dtype, values) == values


def test_the_greatest_integer_beside_a_small_one():
    assert read(types_pb2.DT_UINT64, [2**64 - 1, 1]) == [2**64 - 1, 1]


@pytest.mark.parametrize("dtype", sorted(LIMITS))
@pytest.mark.parametrize("beyond", [-1, 1])
def test_integers_beyond_the_type_are_refused(dtype, beyond):
    limit = LIMITS[dtype][beyond > 0]
    with pytest.raises(StatusError, match="is not of expected type"):
        read(dtype, [limit + beyond])


@given(st.lists(st.floats() | st.integers(-(2**64), 2**64), max_size=8))
def test_numbers_for_doubles_are_the_nearest(values):
    values = [0.0 if math.isinf(value) else value for value in values]
    found = read(types_pb2.DT_DOUBLE, values)
    assert len(found) == len(values)
    for number, value in zip(found, values, strict=True):
        assert number == float(value) or math.isnan(value)


def test_numbers_for_floats_have_no_limit_of_precision():
    found = read(types_pb2.DT_FLOAT, [16777217, 1435774380, 1e39, -1e39])
    assert found == [16777216.0, 1435774336.0, math.inf, -math.inf]


def test_bytes_lose_their_high_bits():
    assert read(types_pb2.DT_UINT8, [300, -1]) == [44, 255]
