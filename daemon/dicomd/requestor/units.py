"""What a run is to retrieve: units (a level and unique keys) from a list, a query or plain keys."""

import csv
from collections.abc import Iterator
from datetime import date

from dicomd.query.dates import expand_dates
from dicomd.query.dictionary import Dictionary, QueryError
from dicomd.query.identifier import Identifier
from dicomd.query.keys import apply_keys, parse_key
from dicomd.requestor.find_scu import (
    INSTANCE_UID,
    LEVEL,
    PATIENT_ID,
    SERIES_UID,
    STUDY_UID,
    FindScu,
)
from dicomd.settings.retrieval import RetrievalSettings

UNIQUE = {"PATIENT": PATIENT_ID, "STUDY": STUDY_UID, "SERIES": SERIES_UID, "IMAGE": INSTANCE_UID}
_KEYWORDS = {
    "PatientID": PATIENT_ID,
    "StudyInstanceUID": STUDY_UID,
    "SeriesInstanceUID": SERIES_UID,
    "SOPInstanceUID": INSTANCE_UID,
}
_LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")

Unit = tuple[str, dict[int, str]]


def level_of(keys: dict[int, str]) -> str:
    """The level of the deepest unique key that has a value."""
    for level in reversed(_LEVELS):
        if keys.get(UNIQUE[level]):
            return level
    return ""


def unique_keys(keys: dict[int, str], level: str, model: str) -> dict[int, str]:
    """The unique keys of a C-MOVE at a level: those above it and its own (PS3.4 C.4.2.2.1). The
    patient's is one in the patient models only."""
    upto = _LEVELS[: _LEVELS.index(level) + 1]
    tags = [UNIQUE[name] for name in upto if name != "PATIENT" or model != "study"]
    return {tag: keys[tag] for tag in tags if keys.get(tag)}


def from_list(path: str, model: str) -> Iterator[Unit]:
    """The rows of a CSV file whose header names unique keys. QueryError says file and line."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            tags = [_KEYWORDS.get(name) for name in header]
            if not any(tags):
                raise QueryError(
                    f"{path}:1: the header names no unique key; write one or more of "
                    f"{', '.join(_KEYWORDS)}"
                )
            for row in rows:
                keys = {
                    tag: value.strip()
                    for tag, value in zip(tags, row, strict=False)
                    if tag is not None and value.strip()
                }
                if not keys:
                    continue
                level = level_of(keys)
                found = unique_keys(keys, level, model)
                if not found or (model == "study" and not found.get(STUDY_UID)):
                    raise QueryError(
                        f"{path}:{rows.line_num}: a row without a StudyInstanceUID cannot be "
                        "retrieved under the study model"
                    )
                yield level, found
    except OSError as exc:
        raise QueryError(f"{path}: {exc.strerror}; a list is a readable CSV file") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise QueryError(f"{path}: not a CSV file in UTF-8") from exc


def query_of(settings: RetrievalSettings, today: date) -> Identifier:
    """The C-FIND identifier of a retrieval: its keys with dates filled in, and what must come
    back. QueryError when a key is none."""
    assert settings.find is not None
    identifier = Identifier()
    dictionary = Dictionary()
    texts = [f"{name}={expand_dates(value, today)}" for name, value in settings.find.keys.items()]
    apply_keys(identifier, [parse_key(text, dictionary) for text in texts])
    identifier.put_text(LEVEL, "CS", settings.find.level)
    for tag in wanted_tags(settings.find.level, settings.model):
        if tag not in identifier.elements:
            identifier.put_text(tag, "LO" if tag == PATIENT_ID else "UI", "")
    return identifier


def wanted_tags(level: str, model: str) -> list[int]:
    """The unique keys that a match must carry."""
    upto = _LEVELS[: _LEVELS.index(level) + 1]
    return [UNIQUE[name] for name in upto if name != "PATIENT" or model != "study"]


def from_find(finder: FindScu, settings: RetrievalSettings, today: date) -> Iterator[Unit]:
    """The matches of a retrieval's query."""
    assert settings.find is not None
    level = settings.find.level
    tags = wanted_tags(level, settings.model)
    for match in finder.matches(query_of(settings, today), tags):
        keys = unique_keys(match, level, settings.model)
        if keys.get(UNIQUE[level]):
            yield level, keys


def from_keys(settings: RetrievalSettings) -> Iterator[Unit]:
    """The one unit of keys that are sent as they are."""
    dictionary = Dictionary()
    identifier = Identifier()
    texts = [f"{name}={value}" for name, value in settings.keys.items()]
    apply_keys(identifier, [parse_key(text, dictionary) for text in texts])
    keys = {tag: identifier.text(tag) for tag in _KEYWORDS.values() if identifier.text(tag)}
    level = identifier.text(LEVEL) or level_of(keys) or "STUDY"
    yield level, keys
