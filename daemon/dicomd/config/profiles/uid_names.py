"""DCMTK's symbolic names and DICOM's keywords <-> UIDs.

DCMTK 3.6.7 accepts the ``name`` column of the tables; names of later versions and the keywords of
PS3.6 A-1 are our extension. A name of DCMTK always wins over a keyword.
"""

import sys
from functools import cache

from dicomd.config.profiles.named_uid import NamedUid
from dicomd.config.profiles.other_uids import OTHER_UIDS
from dicomd.config.profiles.storage_classes import STORAGE_CLASSES
from dicomd.config.profiles.transfer_syntaxes import TRANSFER_SYNTAXES
from dicomd.config.profiles.well_known_uids import WELL_KNOWN_UIDS
from dicomd.settings.profile import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN

_LITTLE = sys.byteorder == "little"
BYTE_ORDER_NAMES = {
    "LocalEndianExplicit": EXPLICIT_VR_LITTLE_ENDIAN if _LITTLE else EXPLICIT_VR_BIG_ENDIAN,
    "OppositeEndianExplicit": EXPLICIT_VR_BIG_ENDIAN if _LITTLE else EXPLICIT_VR_LITTLE_ENDIAN,
}
"""Two names of DCMTK that depend on the processor."""

_UID_CHARACTERS = frozenset("0123456789.")


def resolve_uid(value: str) -> str | None:
    """The UID that a value of a profile stands for, or None.

    What starts with a digit is a UID as it is. Otherwise one leading ``=`` is skipped and the rest
    is a name; what is no name must consist of digits and dots (measured on DCMTK 3.6.7).
    """
    uid = value
    if not "0" <= value[:1] <= "9":
        uid = find_uid(value.removeprefix("=")) or value
    return uid if uid and _UID_CHARACTERS.issuperset(uid) else None


def find_uid(name: str) -> str | None:
    """The UID of a name of DCMTK or, failing that, of a keyword of DICOM. Case counts."""
    return _by_name().get(name)


def keyword_of(uid: str) -> str:
    """How we show a UID to people: its DICOM keyword, else DCMTK's name, else the UID."""
    row = _by_uid().get(uid)
    return uid if row is None else row.keyword or row.name


def dcmtk_name_of(uid: str) -> str | None:
    """A name that every DCMTK from 3.6.7 on reads as this UID, or None."""
    row = _by_uid().get(uid)
    return row.name if row is not None and row.dcmtk == "all" else None


def dcmtk_names() -> dict[str, str]:
    """UID -> name for every UID that DCMTK has a name for."""
    return {uid: row.name for uid, row in _by_uid().items() if row.name}


def described(uid: str) -> str:
    """``CTImageStorage (1.2.840.10008.5.1.4.1.1.2)``, or the bare UID where it has no name."""
    keyword = keyword_of(uid)
    return uid if keyword == uid else f"{keyword} ({uid})"


def is_transfer_syntax(uid: str) -> bool:
    """Whether the standard (or DCMTK) knows this UID as a transfer syntax."""
    return uid in _transfer_syntaxes()


def is_known(uid: str) -> bool:
    """Whether any table has this UID."""
    return uid in _by_uid()


def suggestion(name: str) -> str:
    """``; did you mean 'X'?`` for a name that is close to a known one, else ``""``."""
    import difflib

    wanted = name.strip().removeprefix("=").strip().lower()
    if not wanted:
        return ""
    exact = [known for known in _by_name() if known.lower() == wanted]
    close = exact or difflib.get_close_matches(name.strip(), _by_name(), n=1, cutoff=0.75)
    return f"; did you mean {close[0]!r}?" if close else ""


def _tables() -> tuple[NamedUid, ...]:
    return TRANSFER_SYNTAXES + STORAGE_CLASSES + OTHER_UIDS + WELL_KNOWN_UIDS


@cache
def _by_name() -> dict[str, str]:
    names = {row.keyword or row.name: row.uid for row in _tables()}
    names.update({row.name: row.uid for row in _tables()})
    names.update(BYTE_ORDER_NAMES)
    return names


@cache
def _by_uid() -> dict[str, NamedUid]:
    rows: dict[str, NamedUid] = {}
    for row in _tables():
        known = rows.get(row.uid)
        if known is None or (known.dcmtk != "all" and row.dcmtk in ("all", "new")):
            rows[row.uid] = row
    return rows


@cache
def _transfer_syntaxes() -> frozenset[str]:
    return frozenset(row.uid for row in TRANSFER_SYNTAXES)
