"""Names and UIDs."""

import pytest
from pydicom._uid_dict import UID_dictionary

from dicomd.config.profiles.other_uids import OTHER_UIDS
from dicomd.config.profiles.storage_classes import STORAGE_CLASSES
from dicomd.config.profiles.transfer_syntaxes import TRANSFER_SYNTAXES
from dicomd.config.profiles.uid_names import (
    dcmtk_name_of,
    find_uid,
    keyword_of,
    resolve_uid,
    suggestion,
)
from dicomd.config.profiles.well_known_uids import WELL_KNOWN_UIDS

TABLES = (*TRANSFER_SYNTAXES, *STORAGE_CLASSES, *OTHER_UIDS, *WELL_KNOWN_UIDS)


def test_every_name_and_keyword_leads_to_its_uid() -> None:
    for row in TABLES:
        assert find_uid(row.name) == row.uid
        assert find_uid(row.keyword or row.name) == row.uid


def test_what_we_show_leads_back() -> None:
    for row in TABLES:
        assert find_uid(keyword_of(row.uid)) == row.uid
        name = dcmtk_name_of(row.uid)
        assert name is None or find_uid(name) == row.uid


def test_keywords_of_negotiable_uids_are_those_of_pydicom() -> None:
    for uid, (_, kind, _, _, keyword) in UID_dictionary.items():
        if kind in ("SOP Class", "Meta SOP Class", "Transfer Syntax") and keyword:
            assert find_uid(keyword) == uid


def test_a_keyword_never_changes_the_meaning_of_a_name_of_dcmtk() -> None:
    names = {row.name: row.uid for row in TABLES if row.dcmtk != "none"}
    for row in TABLES:
        assert names.get(row.keyword, row.uid) == row.uid
    assert find_uid("JPEGLossless") == "1.2.840.10008.1.2.4.57"


@pytest.mark.parametrize(
    ("value", "uid"),
    [
        ("CTImageStorage", "1.2.840.10008.5.1.4.1.1.2"),
        ("=CTImageStorage", "1.2.840.10008.5.1.4.1.1.2"),
        ("==CTImageStorage", None),
        ("ctimagestorage", None),
        ("JPEGBaseline", "1.2.840.10008.1.2.4.50"),
        ("JPEGBaseline8Bit", "1.2.840.10008.1.2.4.50"),
        ("HTJ2K", "1.2.840.10008.1.2.4.203"),
        ("JPEGXL", "1.2.840.10008.1.2.4.112"),
        ("1.2.3", "1.2.3"),
        ("1..2.", "1..2."),
        (".1", ".1"),
        ("=1.2", None),
        ("1.2a", None),
        ("", None),
        ("=", None),
    ],
)
def test_values_resolve_as_measured(value: str, uid: str | None) -> None:
    assert resolve_uid(value) == uid


def test_a_misspelt_name_gets_a_suggestion() -> None:
    assert suggestion("CTImageStorge") == "; did you mean 'CTImageStorage'?"
    assert suggestion("littleendianexplicit") == "; did you mean 'LittleEndianExplicit'?"
    assert suggestion("") == suggestion("zzzz") == ""
