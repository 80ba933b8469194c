"""Matching keys of retrievals: known names, values that fit, dates in braces."""

import difflib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from dicomd.query.dates import expand_dates
from dicomd.query.dictionary import Dictionary, QueryError
from dicomd.query.keys import parse_key


def faulty_keys(keys: Mapping[str, str], *, dates: bool) -> Iterator[tuple[str, str]]:
    """Each key that cannot be sent, and why. ``dates``: values may hold expressions in braces."""
    dictionary = Dictionary()
    today = datetime.now(UTC).date()
    for name, value in keys.items():
        try:
            text = expand_dates(value, today) if dates else value
            parse_key(f"{name}={text}", dictionary)
        except QueryError as error:
            yield name, _suggestion(name, dictionary) or str(error)


def _suggestion(name: str, dictionary: Dictionary) -> str:
    if not name.isalnum() or name.isdigit() or dictionary.tag_of(name) is not None:
        return ""
    from pydicom._dicom_dict import DicomDictionary

    known = [entry[4] for entry in DicomDictionary.values()]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{name!r} is no DICOM keyword{hint}"
