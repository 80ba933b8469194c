"""Query files: DICOM files, in any transfer syntax, whose data sets are identifiers."""

import os
import struct
import warnings
from typing import Any

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from dicomd.query.dictionary import Dictionary, QueryError
from dicomd.query.identifier import Element, Identifier, padded, swapped

_UNDEFINED_LENGTH = 0xFFFFFFFF


def read_query_file(path: str, dictionary: Dictionary) -> Identifier:
    """The data set of a file as an identifier; QueryError when it is not a DICOM file.

    Files with and without a meta header are read. Values go out as the bytes that they are.
    """
    _check_head(path, dictionary)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path, force=True)
            return _identifier(dataset, dictionary)
    except QueryError:
        raise
    except Exception as exc:  # whatever a parser trips over in a foreign file
        raise QueryError(f"bad DICOM file: {path}: {type(exc).__name__}") from exc


def _check_head(path: str, dictionary: Dictionary) -> None:
    """A file without preamble must begin with an element that the dictionary knows."""
    try:
        with open(path, "rb") as file:
            head = file.read(132)
    except OSError as exc:
        raise QueryError(f"bad DICOM file: {path}: {os.strerror(exc.errno or 0)}") from exc
    if head[128:] == b"DICM":
        return
    for order in "<>":
        if len(head) >= 8:
            group, element = struct.unpack_from(f"{order}HH", head)
            if dictionary.vr_of(group << 16 | element) and 0 < group < 0x7000:
                return
    raise QueryError(f"bad DICOM file: {path}: not a DICOM file")


def _identifier(dataset: Dataset, dictionary: Dictionary) -> Identifier:
    identifier = Identifier()
    for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset would decode its elements
        number = int(tag)
        if number >> 16 == 0x0002:
            continue
        raw: Any = dataset.get_item(tag)
        vr = raw.VR or dictionary.vr_of(number) or "UN"
        if vr == "SQ":
            items = tuple(_identifier(item, dictionary) for item in dataset[tag].value or ())
            identifier.elements[number] = Element("SQ", items=items)
        elif isinstance(raw, RawDataElement):
            if raw.length == _UNDEFINED_LENGTH:
                raise QueryError("bad DICOM file: compressed pixel data cannot be sent in a query")
            value = raw.value or b""
            if not raw.is_little_endian:
                value = swapped(vr, value)
            identifier.elements[number] = Element(vr, padded(vr, value))
        else:
            identifier.elements[number] = Element(vr, padded(vr, _text_bytes(raw.value)))
    return identifier


def _text_bytes(value: Any) -> bytes:
    """Bytes of the few elements that pydicom decodes while it reads (character sets)."""
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    parts = [value] if isinstance(value, str) else list(value)
    return "\\".join(str(part) for part in parts).encode("latin-1", "replace")
