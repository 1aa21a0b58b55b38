"""The container of compressed rows: a header, a checksum and the bytes of a coder."""

import struct
import zlib
from typing import NamedTuple

import numpy as np

MAGIC, VERSION = b"skac", 1
HEADER_STRUCT = struct.Struct("<4sB3sII4sI")  # 24 bytes, a CRC-32 of all others at the end
DTYPES = {dtype.str.encode(): dtype for dtype in map(np.dtype, "dfebBhHiIlLqQ?")}


class Header(NamedTuple):
    """Header of a blob."""

    dtype: np.dtype
    n_rows: int
    n_features: int
    fingerprint: bytes  # of the model, 4 bytes


def pack(header: Header, payload: bytes) -> bytes:
    """Join a header, a checksum and a payload to a blob."""
    fields = (MAGIC, VERSION, header.dtype.str.encode(), *header[1:])
    checksum = zlib.crc32(HEADER_STRUCT.pack(*fields, 0) + payload)
    return HEADER_STRUCT.pack(*fields, checksum) + payload


def unpack(blob: bytes) -> tuple[Header, bytes]:
    """Split a blob into its header and its payload.

    Raises
    ------
    ValueError
        If the blob is not one, is damaged, or is of another version.
    """
    if not isinstance(blob, bytes | bytearray | memoryview):
        raise TypeError(f"blob has to be bytes, and is a {type(blob).__name__}.")
    blob = bytes(blob)
    if len(blob) < HEADER_STRUCT.size or blob[: len(MAGIC)] != MAGIC:
        raise ValueError(
            f"blob of {len(blob)} bytes is not what compress returns: it has to begin "
            f"with {MAGIC!r} and a header of {HEADER_STRUCT.size} bytes."
        )
    _, version, dtype, *rest, fingerprint, checksum = HEADER_STRUCT.unpack_from(blob)
    if version != VERSION:
        raise ValueError(
            f"blob has format version {version}, and this release reads {VERSION}."
        )
    payload = blob[HEADER_STRUCT.size :]
    if zlib.crc32(blob[: HEADER_STRUCT.size - 4] + bytes(4) + payload) != checksum:
        raise ValueError("blob is damaged or cut short: its checksum does not fit.")
    if dtype not in DTYPES:
        raise ValueError(f"blob holds rows of an unknown type {dtype!r}.")
    return Header(DTYPES[dtype], *rest, fingerprint), payload
