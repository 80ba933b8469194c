"""Data sets of responses, read for the few values that we need.

What a peer sends here is foreign: reading is bounded in bytes, and deflated data is inflated only
up to a limit. Values never leave as part of an error's text.
"""

import io
import warnings
import zlib
from collections.abc import Sequence

from pydicom.filereader import read_dataset

from dicomd.query.identifier import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

_INFLATED_LIMIT_BYTES = 16 << 20


def read_values(data: bytes, transfer_syntax: str, tags: Sequence[int]) -> dict[int, str]:
    """The values of some top-level elements as text, without padding; "" for those that are
    absent. ValueError when the data set cannot be read."""
    if transfer_syntax == DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN:
        inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(data, _INFLATED_LIMIT_BYTES)
        except zlib.error as exc:
            raise ValueError("deflated data set cannot be inflated") from exc
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = read_dataset(
                io.BytesIO(data),
                is_implicit_VR=transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN,
                is_little_endian=transfer_syntax != EXPLICIT_VR_BIG_ENDIAN,
                bytelength=len(data),
            )
            return {tag: _text(dataset.get_item(tag)) if tag in dataset else "" for tag in tags}
    except Exception as exc:  # whatever a parser trips over in a foreign data set
        raise ValueError(f"data set cannot be read: {type(exc).__name__}") from exc


def _text(element: object) -> str:
    value = getattr(element, "value", None)
    if value is None:
        return ""
    if isinstance(value, bytes):
        text = value.decode("latin-1")
    elif isinstance(value, str):
        text = value
    else:
        text = "\\".join(str(part) for part in value)
    return text.strip(" \0")
