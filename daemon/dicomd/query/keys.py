"""Matching keys as movescu takes them: ``gggg,eeee=value``, ``Keyword=value``, and paths.

Forms and messages are those of DCMTK 3.6.7; paths into sequences
(``Sequence[0].Keyword=value``) are those of its newer versions.
"""

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dicomd.query.dictionary import Dictionary, QueryError
from dicomd.query.identifier import Element, Identifier, padded

_TAG = re.compile(r"\s*([+-]?(?:0[xX])?[0-9a-fA-F]+),\s*([+-]?(?:0[xX])?[0-9a-fA-F]+)")
_STEP = re.compile(r"([^\[\]=.]+)\[(\d+)\]\.")
_MOST_ITEMS = 1000
"""Items that a path may ask for; a bound on memory, not a rule of the format."""


@dataclass(frozen=True, slots=True)
class Key:
    """One matching key: the sequences on the way (tag, item number), and the element."""

    path: tuple[tuple[int, int], ...]
    tag: int
    element: Element


def parse_key(text: str, dictionary: Dictionary) -> Key:
    """One key as written after ``-k``. QueryError with movescu's words when it is not one."""
    name, _, value = text.partition("=")
    steps: list[tuple[int, int]] = []
    while match := _STEP.match(name):
        tag = _tag_of(match[1], dictionary, text, parentheses=True)
        if dictionary.vr_of(tag) != "SQ" or int(match[2]) >= _MOST_ITEMS:
            raise QueryError(f"bad key format or dictionary name not found in dictionary: {name}")
        steps.append((tag, int(match[2])))
        name = name[match.end() :]
    tag = _tag_of(name, dictionary, text, parentheses=bool(steps))
    vr = dictionary.vr_of(tag)
    if vr is None and tag >> 16 == 0xFFFE:
        raise QueryError(f"cannot create element for tag: {_shown(tag)}")
    if vr is None:
        raise QueryError(f"unknown tag: {_shown(tag)}")
    return Key(tuple(steps), tag, _element(tag, vr, value))


def apply_keys(identifier: Identifier, keys: Sequence[Key]) -> None:
    """Put keys into an identifier. They are worked from right to left, each replacing what is
    there: so the leftmost of two for one element wins (measured on DCMTK 3.6.7)."""
    for key in reversed(keys):
        target = identifier
        for tag, number in key.path:
            items = list(target.elements.get(tag, Element("SQ")).items)
            while len(items) <= number:
                items.append(Identifier())
            target.elements[tag] = Element("SQ", items=tuple(items))
            target = items[number]
        target.elements[key.tag] = key.element


def repeated_keys(keys: Sequence[Key]) -> list[int]:
    """Tags that several keys name; only the leftmost counts, which surprises people."""
    seen: set[tuple[object, int]] = set()
    repeated: list[int] = []
    for key in keys:
        if (key.path, key.tag) in seen:
            repeated.append(key.tag)
        seen.add((key.path, key.tag))
    return repeated


def _tag_of(name: str, dictionary: Dictionary, whole: str, *, parentheses: bool) -> int:
    text = name
    if parentheses and name.startswith("(") and name.endswith(")"):
        text = name[1:-1]
    match = _TAG.match(text)
    if match:
        group, element = (int(part, 16) & 0xFFFF for part in match.groups())
        return group << 16 | element
    tag = dictionary.tag_of(name)
    if tag is None:
        raise QueryError(
            "bad key format or dictionary name not found in dictionary: " + (name or whole)
        )
    return tag


def _shown(tag: int) -> str:
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def _element(tag: int, vr: str, value: str) -> Element:
    if not value:
        return Element(vr)
    if vr == "SQ":
        raise QueryError(f'cannot put tag value: {_shown(tag)}="{value}"')
    convert = _NUMBERS.get(vr)
    if convert is None:
        # Blanks at the end are padding to DCMTK, which writes its own.
        return Element(vr, padded(vr, value.rstrip(" ").encode("utf-8", "surrogateescape")))
    try:
        return Element(vr, padded(vr, b"".join(convert(part) for part in value.split("\\"))))
    except (ValueError, struct.error) as exc:
        raise QueryError(f'cannot put tag value: {_shown(tag)}="{value}"') from exc


_LEADING_INTEGER = re.compile(r"\s*([+-]?\d+)")
_LEADING_HEX = re.compile(r"\s*((?:0[xX])?[0-9a-fA-F]+)")


def _integer(form: str, bits: int) -> Callable[[str], bytes]:
    def convert(text: str) -> bytes:
        match = _LEADING_INTEGER.match(text)
        if match is None:
            raise ValueError(text)
        number = int(match[1]) & ((1 << bits) - 1)  # as the C library's scanf wraps it
        return struct.pack(form, number)

    return convert


def _hexadecimal(form: str, bits: int) -> Callable[[str], bytes]:
    def convert(text: str) -> bytes:
        match = _LEADING_HEX.match(text)
        if match is None:
            raise ValueError(text)
        return struct.pack(form, int(match[1], 16) & ((1 << bits) - 1))

    return convert


def _real(form: str) -> Callable[[str], bytes]:
    def convert(text: str) -> bytes:
        return struct.pack(form, float(text))

    return convert


def _tag_value(text: str) -> bytes:
    match = _TAG.match(text[1:]) if text.startswith("(") else None
    if match is None:
        raise ValueError(text)
    return struct.pack("<HH", *(int(part, 16) & 0xFFFF for part in match.groups()))


_NUMBERS: dict[str, Callable[[str], bytes]] = {
    "US": _integer("<H", 16),
    "SS": _integer("<H", 16),
    "UL": _integer("<I", 32),
    "SL": _integer("<I", 32),
    "UV": _integer("<Q", 64),
    "SV": _integer("<Q", 64),
    "FL": _real("<f"),
    "FD": _real("<d"),
    "OF": _real("<f"),
    "OD": _real("<d"),
    "OL": _integer("<I", 32),
    "OV": _integer("<Q", 64),
    "AT": _tag_value,
    "OB": _hexadecimal("<B", 8),
    "OW": _hexadecimal("<H", 16),
    "UN": _hexadecimal("<B", 8),
}
