"""Templates of file names and subfolders: ``{StudyInstanceUID}/{SeriesInstanceUID}``.

A field is a DICOM keyword of the data set's top level, or one of ``FACTS``. Values are parsed by
their value representation or cut down to harmless characters; what is missing is ``undef``. No
value can add a folder, climb out of one, or make a hidden file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches

FACTS = frozenset(
    {"SOPInstanceUID", "SOPClassUID", "ModalityPrefix", "CallingAETitle", "CalledAETitle"}
)
"""Fields that the C-STORE request itself tells."""

MISSING = "undef"
_FIELD = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_UNSAFE = re.compile(r"[^0-9A-Za-z._+=@,-]")
_LITERAL = re.compile(r"[0-9A-Za-z._+=@,-]*")
_DATE_FORMAT = re.compile(r"(?:%[Ymd]|[0-9A-Za-z._-])+")
_TEXT_VRS = frozenset({"AE", "AS", "CS", "DS", "DT", "IS", "LO", "PN", "SH", "TM"})
_LAST_TAG = 0x0020FFFF
"""Fields beyond group 0020 may stand behind much data: they are refused."""
_VALUE_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Field:
    """One ``{Keyword}`` or ``{Keyword:%Y%m%d}``. ``tag`` is 0 for a fact."""

    keyword: str
    tag: int
    vr: str
    date_format: str


Part = tuple["str | Field", ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was checked. ``parts`` are folder names, or one file name."""

    parts: tuple[Part, ...]
    keywords: frozenset[str]
    tags: frozenset[int]

    def expand(self, facts: Mapping[str, str], values: Mapping[int, bytes]) -> tuple[str, ...]:
        """The names for one object, each safe in a path."""
        return tuple(_safe_name("".join(_text(p, facts, values) for p in x)) for x in self.parts)


def parse_template(text: str, *, folders: bool) -> Template:
    """Check a template. ``folders`` allows ``/``. ValueError says what is wrong with it."""
    if not text:
        raise ValueError("an empty template; write a name or fields such as {StudyInstanceUID}")
    if "/" in text and not folders:
        raise ValueError("a file name cannot hold '/'; folders belong under subdirectories")
    parts = tuple(_parse_part(part) for part in text.split("/"))
    fields = [piece for part in parts for piece in part if isinstance(piece, Field)]
    return Template(
        parts=parts,
        keywords=frozenset(field.keyword for field in fields),
        tags=frozenset(field.tag for field in fields if field.tag),
    )


def _parse_part(text: str) -> Part:
    if not text:
        raise ValueError("an empty folder name; remove the '/' at the start or end, or '//'")
    if text.startswith("."):
        raise ValueError(f"{text!r}: names that start with a dot are hidden or lead elsewhere")
    pieces: list[str | Field] = []
    position = 0
    for match in _FIELD.finditer(text):
        pieces += [_literal(text[position : match.start()]), _field(match[1], match[2])]
        position = match.end()
    pieces.append(_literal(text[position:]))
    return tuple(piece for piece in pieces if piece != "")


def _literal(text: str) -> str:
    if _LITERAL.fullmatch(text) is None:
        raise ValueError(
            f"{text!r} cannot stand in a template; use letters, digits, . _ + = @ , - and"
            " {Keyword}"
        )
    return text


def _field(keyword: str, date_format: str | None) -> Field:
    # pydicom's dictionary is large: only who uses templates pays for it.
    from pydicom._dicom_dict import DicomDictionary
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    if keyword in FACTS:
        if date_format is not None:
            raise ValueError(f"{{{keyword}}} is no date and takes no format")
        return Field(keyword, 0, "", "")
    tag = tag_for_keyword(keyword)
    if tag is None:
        known = [entry[4] for entry in DicomDictionary.values()] + sorted(FACTS)
        near = get_close_matches(keyword, known, 1)
        hint = f"; did you mean {{{near[0]}}}?" if near else ""
        raise ValueError(f"{{{keyword}}} is no DICOM keyword{hint}")
    vr = dictionary_VR(tag)
    if tag > _LAST_TAG or tag < 0x00080000 or vr not in _TEXT_VRS | {"DA", "UI"}:
        raise ValueError(
            f"{{{keyword}}} cannot name a file: use short text, a date or a UID of groups 0008 to"
            " 0020"
        )
    if date_format is not None and (vr != "DA" or _DATE_FORMAT.fullmatch(date_format) is None):
        raise ValueError(f"{{{keyword}:{date_format}}}: only dates take a format, of %Y %m %d")
    return Field(keyword, tag, vr, date_format or "%Y%m%d")


def _text(piece: "str | Field", facts: Mapping[str, str], values: Mapping[int, bytes]) -> str:
    if isinstance(piece, str):
        return piece
    if not piece.tag:
        return facts[piece.keyword] or MISSING
    first = values.get(piece.tag, b"").partition(b"\\")[0].strip(b" \0")
    text = first.decode("ascii", "replace")[:_VALUE_CHARACTERS]
    if piece.vr == "UI":
        return text if _UID.fullmatch(text) else MISSING
    if piece.vr == "DA":
        match = _DATE.fullmatch(text)
        try:
            day = date(*(int(part) for part in match.groups())) if match else None
        except ValueError:
            day = None
        return day.strftime(piece.date_format) if day else MISSING
    return _UNSAFE.sub("_", text) or MISSING


def _safe_name(name: str) -> str:
    return "_" + name[1:] if name.startswith(".") else name
