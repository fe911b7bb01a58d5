"""Decompress and parse the messages of gRPC calls, and count their memory.

gRPC's own decompression has no limit. So `CHANNEL_ARGUMENTS` turns it off, and messages
come as they were sent.
"""

from __future__ import annotations

import math
import threading
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError

from graft.serving.embedded.contract.status import (
    StatusError,
    exhausted,
    internal,
)
from graft.serving.embedded.contract.tensors import MAX_EXPANDED_BYTES
from graft.serving.embedded.transport.compression import (
    GZIP,
    ZLIB,
    DamagedError,
    inflate,
    is_gzip,
    is_zlib,
)
from graft.serving.embedded.transport.request_memory import Reservation

CHANNEL_ARGUMENTS = (("grpc.per_message_decompression", 0),)
MAX_FIELDS = 2**20
"""Most fields in a message. While it is parsed no other request runs: protobuf's parser
holds Python's lock."""
_SMALL_BYTES = 2**16
"""Messages up to this size are counted by `_SMALL_FACTOR`, without a look inside."""
_SMALL_FACTOR = 32
"""Most memory for a byte of any message."""
_LARGE_BYTES = 2**24
"""Of the messages above this size one is parsed at a time."""
_BYTES_PER_BYTE = 4
_BYTES_PER_PACKED_BYTE = 24
_BYTES_PER_FIELD = 192
_BYTES_PER_MISSING_VALUE = 64
"""docs/decisions/0070-request-limits.md has the measurements."""
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_TYPES = {
    FieldDescriptor.TYPE_FLOAT,
    FieldDescriptor.TYPE_DOUBLE,
    FieldDescriptor.TYPE_FIXED32,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED32,
    FieldDescriptor.TYPE_SFIXED64,
}
_UNPACKED_TYPES = _FIXED_TYPES | {
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
}
_parsing = threading.Lock()
"""Held while a message above `_LARGE_BYTES` is parsed: others shall get Python's
lock."""


class MessageReader:
    """Turns the bytes of a call into its request.

    Args:
        message_type: The request's class.
        max_bytes: Largest message after decompression.
    """

    def __init__(self, message_type: Any, max_bytes: int) -> None:
        self._type = message_type
        self._max_bytes = max_bytes

    def read(self, data: bytes, memory: Reservation) -> Any:
        """Return the request.

        Raises:
            StatusError: INTERNAL, if the bytes are no such message, as gRPC's C++
                servers answer. RESOURCE_EXHAUSTED, if it is too large.
        """
        # No request begins like this. gzip data would be field 3 of wire type 7, which
        # does not exist. zlib data would be field 15, which no request has.
        if is_gzip(data):
            data = self._decompress(data, GZIP, memory)
        elif is_zlib(data):
            data = self._decompress(data, ZLIB, memory)
        memory.grow_to(_memory_of(data, self._type.DESCRIPTOR))
        try:
            if len(data) <= _LARGE_BYTES:
                request = self._type.FromString(data)
            else:
                with _parsing:
                    request = self._type.FromString(data)
        except DecodeError:
            raise _unreadable() from None
        memory.add(_BYTES_PER_MISSING_VALUE * _num_missing_values(request))
        return request

    def _decompress(self, data: bytes, wbits: int, memory: Reservation) -> bytes:
        whole = bytearray()
        try:
            for piece in inflate(data, wbits):
                whole += piece
                if len(whole) > self._max_bytes:
                    raise exhausted(
                        "Received message larger than max after decompression "
                        f"({len(whole)} vs. {self._max_bytes})"
                    )
                memory.grow_to(len(data) + 2 * len(whole))
        except DamagedError:
            raise _unreadable() from None
        return bytes(whole)


def _num_missing_values(request: Any) -> int:
    """Return how many values of input tensors are left out.

    A shape of a few bytes may ask for any number of values: the last one that was sent
    is repeated.
    """
    num_missing = 0
    for tensor in getattr(request, "inputs", {}).values():
        if not tensor.tensor_content:
            size = math.prod(dim.size for dim in tensor.tensor_shape.dim)
            # A value takes a byte at least. Larger shapes are refused anyway.
            if size <= MAX_EXPANDED_BYTES:
                num_missing += max(0, size - _num_values(tensor))
    return num_missing


def _num_values(tensor: Any) -> int:
    # Not `ByteSize`: it writes the whole message to measure it.
    return sum(
        len(values)
        for field, values in tensor.ListFields()
        if field.name.endswith("_val")
    )


def _unreadable() -> StatusError:
    return internal("the request is no such message")


def _memory_of(data: bytes, descriptor: Descriptor) -> int:
    """Return an upper bound of the memory that a message takes when it is parsed.

    Raises:
        StatusError: RESOURCE_EXHAUSTED, if it has too many fields. INTERNAL, if it is
            damaged.
    """
    if len(data) <= _SMALL_BYTES:
        return _SMALL_FACTOR * len(data)
    num_fields = num_packed_bytes = 0
    pending = [(0, len(data), descriptor)]
    while pending:
        position, end, descriptor = pending.pop()
        while position < end:
            num_fields += 1
            if num_fields > MAX_FIELDS:
                raise exhausted(f"The message has more than {MAX_FIELDS} fields")
            tag, position = _varint(data, position)
            kind = tag & 7
            if kind == _VARINT:
                _, position = _varint(data, position)
            elif kind == _FIXED64:
                position += 8
            elif kind == _FIXED32:
                position += 4
            elif kind == _LENGTH:
                size, position = _varint(data, position)
                if position + size > end:
                    raise _unreadable()
                field = descriptor.fields_by_number.get(tag >> 3)
                if field is not None and field.message_type is not None:
                    pending.append((position, position + size, field.message_type))
                elif field is not None and field.type not in _UNPACKED_TYPES:
                    num_packed_bytes += size
                position += size
            else:
                raise _unreadable()  # Groups: none of the requests has any.
    return (
        _BYTES_PER_BYTE * len(data)
        + _BYTES_PER_PACKED_BYTE * num_packed_bytes
        + _BYTES_PER_FIELD * num_fields
    )


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position, and the position after it."""
    value = shift = 0
    try:
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, position
            shift += 7
            if shift > 63:  # Ten bytes are the longest.
                raise _unreadable()
    except IndexError:
        raise _unreadable() from None
