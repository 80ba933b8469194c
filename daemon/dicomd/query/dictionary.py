"""Data dictionaries: names and value representations of elements.

The built-in one is pydicom's (PS3.6 with what is retired). A site's own come from DCMDICTPATH, in
the form that DCMTK reads: one element a line, five fields between tabs. Entries of a file add to
the built-in ones and override them. pydicom is imported by the first look-up: it takes time, and
who checks settings without keys does not need it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dicomd.errors import DicomdError

_TAG = re.compile(
    r"\(([0-9A-Fa-f]{4})(?:-([ou])?-?([0-9A-Fa-f]{4}))?,"
    r'(?:"[^"]*",)?([0-9A-Fa-f]{2,4})(?:-([ou])?-?([0-9A-Fa-f]{2,4}))?\)'
)
_PRIVATE = re.compile(r'\([^)]*"')
_INTERNAL_VRS = {"up": "UL", "xs": "US", "ox": "OW", "lt": "OW", "px": "OW", "??": "UN"}
"""VRs that DCMTK's dictionaries use beside the standard's, as they are written."""
_FIRST_OF_SEVERAL = {"US or SS": "US", "OB or OW": "OW", "US or SS or OW": "OW", "US or OW": "OW"}
_RETIRED = re.compile(r"RETIRED_(.+)")
_WAVEFORM_DATA = 0x54001010


class QueryError(DicomdError):
    """A key, a query file or a date expression does not say what to ask for."""


@dataclass(frozen=True, slots=True)
class _Range:
    """Tags such as (6000-60FF,3000)."""

    groups: range
    elements: range
    vr: str


@dataclass(slots=True)
class Dictionary:
    """Lookups by name and by tag. Mutable only while files are read into it."""

    names: dict[str, int] = field(default_factory=dict)
    vrs: dict[int, str] = field(default_factory=dict)
    ranges: list[_Range] = field(default_factory=list)

    def tag_of(self, name: str) -> int | None:
        """The tag of a keyword, case-sensitive; DCMTK's names of retired elements are known."""
        if name in self.names:
            return self.names[name]
        from pydicom.datadict import dictionary_is_retired, tag_for_keyword

        tag = tag_for_keyword(name)
        if tag is None and (retired := _RETIRED.fullmatch(name)):
            tag = tag_for_keyword(retired[1])
            if tag is not None and not dictionary_is_retired(tag):
                return None
        return tag

    def vr_of(self, tag: int) -> str | None:
        """The VR that an element of this tag is written with, or None when it is not known.

        Group lengths and private creators are known, other private elements are not; items and
        delimiters are no elements.
        """
        if tag in self.vrs:
            return self.vrs[tag]
        group, element = tag >> 16, tag & 0xFFFF
        for entry in self.ranges:
            if group in entry.groups and element in entry.elements:
                return entry.vr
        if group & 1:
            return "LO" if 0x10 <= element <= 0xFF else None
        if element == 0:
            return "UL"
        from pydicom.datadict import dictionary_VR, repeater_has_tag

        try:
            vr = dictionary_VR(tag)
        except KeyError:
            return None
        if repeater_has_tag(tag) and group & 1:
            return None
        if vr in ("NONE", ""):
            return None
        return "OB" if tag == _WAVEFORM_DATA else _FIRST_OF_SEVERAL.get(vr, vr)


def read_dictionaries(paths: Sequence[str]) -> tuple[Dictionary, list[str]]:
    """The built-in dictionary with files laid over it, and what was wrong with them.

    A file that cannot be read and a line that is no entry are reported, not fatal: DCMTK goes on
    without them too.
    """
    dictionary = Dictionary()
    complaints: list[str] = []
    for path in paths:
        try:
            text = Path(path).read_text("latin-1")
        except OSError as exc:
            complaints.append(f"cannot open data dictionary file {path}: {exc.strerror}")
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.startswith("#") and not _add(dictionary, line):
                complaints.append(
                    f"{path}:{number}: not an entry; write (gggg,eeee), VR, name and VM "
                    "between tabs"
                )
    return dictionary, complaints


def _add(dictionary: Dictionary, line: str) -> bool:
    fields = [part.strip() for part in line.split("\t") if part.strip()]
    if len(fields) < 3:
        return False
    if _PRIVATE.match(fields[0]):
        return True  # a private element needs its creator's block: no key can name it
    match = _TAG.fullmatch(fields[0])
    if match is None:
        return False
    group, group_kind, last_group, element, element_kind, last_element = match.groups()
    first = (int(group, 16), int(element, 16))
    last = (int(last_group or group, 16), int(last_element or element, 16))
    vr = _INTERNAL_VRS.get(fields[1], fields[1])
    if vr == "na":
        return True
    if first == last:
        tag = first[0] << 16 | first[1]
        dictionary.vrs[tag] = vr
        dictionary.names[fields[2]] = tag
        return True
    dictionary.ranges.insert(
        0,
        _Range(
            range(first[0], last[0] + 1, 1 if group_kind == "u" or last[0] == first[0] else 2),
            range(first[1], last[1] + 1, 1 if element_kind == "u" or last[1] == first[1] else 2),
            vr,
        ),
    )
    dictionary.names.setdefault(fields[2], first[0] << 16 | first[1])
    return True
