"""The entries of lists in YAML profiles: UIDs, roles, extended negotiation data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dicomd.config.profiles.file import ListedContext
from dicomd.config.profiles.uid_names import resolve_uid, suggestion
from dicomd.config.yaml_source import Document, Path
from dicomd.errors import Fault
from dicomd.settings.profile import Role

Entry = str | ListedContext | tuple[str, Role] | tuple[str, bytes]
"""A transfer syntax, a context, a role, an item of extended negotiation."""

LONGEST_EXTENDED_NEGOTIATION_BYTES = 1023
"""What the asconfig format can hold as well (measured on DCMTK 3.6.7)."""


@dataclass(slots=True, frozen=True)
class Place:
    """A value in a document, or a key of it."""

    document: Document
    path: Path
    value: Any
    is_key: bool = False

    def __truediv__(self, step: str | int) -> "Place":
        return Place(self.document, (*self.path, step), self.value[step])

    def items(self) -> "list[Place]":
        """The entries of a list; a single value counts as a list of one, none as an empty one."""
        if isinstance(self.value, list):
            return [self / position for position in range(len(self.value))]
        return [] if self.value is None else [self]

    def fault(self, text: str, *, at_key: bool = False) -> Fault:
        """A fault here."""
        return self.document.fault(self.path, text, at_key=at_key or self.is_key)

    @property
    def line(self) -> int:
        """The line, from 1."""
        return self.document.mark(self.path)[0]


def key_of(entry: Entry) -> str:
    """The UID that an entry is about."""
    if isinstance(entry, str):
        return entry
    return entry.abstract_syntax if isinstance(entry, ListedContext) else entry[0]


def read_uid(place: Place, faults: list[Fault]) -> str | None:
    """A UID or a name of one."""
    value = place.value
    if not isinstance(value, str):
        text = "a UID or its name belongs here"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text += f'; put a UID that looks like a number in quotes: "{value}"'
        faults.append(place.fault(text))
        return None
    uid = resolve_uid(value)
    if uid is None:
        text = f"{value!r} is neither a UID nor the name of one{suggestion(value)}"
        faults.append(place.fault(text))
    return uid


def read_uids(place: Place, faults: list[Fault]) -> Iterator[str]:
    """A list of UIDs or names; a single one may stand without brackets only inside a list."""
    if place.value is not None and not isinstance(place.value, list):
        faults.append(place.fault("a list of transfer syntaxes belongs here, [A, B]"))
        return
    for item in place.items():
        uid = read_uid(item, faults)
        if uid is not None:
            yield uid


def read_roles(place: Place, faults: list[Fault]) -> Iterator[tuple[str, Role]]:
    """``SOPCLASS: SCU | SCP | BOTH``."""
    for uid, value in _pairs(place, faults):
        word = value.value.upper() if isinstance(value.value, str) else ""
        if word not in Role.__members__:
            faults.append(value.fault("a role is SCU, SCP or BOTH"))
        elif uid is not None:
            yield uid, Role[word]


def read_extended_negotiation(place: Place, faults: list[Fault]) -> Iterator[tuple[str, bytes]]:
    """``SOPCLASS: "hexadecimal digits"``; blanks between the bytes are ignored."""
    for uid, value in _pairs(place, faults):
        if not isinstance(value.value, str):
            faults.append(value.fault('hexadecimal digits in quotes belong here, as in "0102"'))
            continue
        try:
            data = bytes.fromhex(value.value)
        except ValueError:
            faults.append(value.fault("not pairs of hexadecimal digits"))
            continue
        if not 1 <= len(data) <= LONGEST_EXTENDED_NEGOTIATION_BYTES:
            most = LONGEST_EXTENDED_NEGOTIATION_BYTES
            faults.append(value.fault(f"{len(data)} bytes; from 1 to {most} are possible"))
        elif uid is not None:
            yield uid, data


def _pairs(place: Place, faults: list[Fault]) -> Iterator[tuple[str | None, Place]]:
    if not isinstance(place.value, dict):
        faults.append(place.fault("a mapping belongs here, 'SOPCLASS: VALUE'"))
        return
    seen: set[str] = set()
    for key in place.value:
        at_key = Place(place.document, (*place.path, key), key, is_key=True)
        uid = read_uid(at_key, faults)
        if uid is not None and uid in seen:
            faults.append(at_key.fault(f"{key!r} is given twice, under two names"))
            uid = None
        elif uid is not None:
            seen.add(uid)
        yield uid, place / key
