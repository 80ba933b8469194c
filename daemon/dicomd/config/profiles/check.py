"""What the asconfig format silently swallows, each with its place.

None of these is a fault: the file means what DCMTK reads. But most of them are not what somebody
who wrote the line had in mind.
"""

import difflib
import re
from collections.abc import Iterable, Iterator

from dicomd.config.profiles.asconfig import (
    ENTRY_NAMES,
    ENTRY_SPELLINGS,
    EXTENDED_NEGOTIATION,
    PRESENTATION_CONTEXTS,
    PROFILES,
    ROLE_SELECTION,
    TRANSFER_SYNTAXES,
    numbered_entries,
)
from dicomd.config.profiles.asconfig_lexer import (
    Key,
    Section,
    Supersection,
    Tree,
    read_tree,
    reference_name,
)
from dicomd.config.profiles.uid_names import is_known, is_transfer_syntax, keyword_of, resolve_uid
from dicomd.errors import Fault

_DROPPED = re.compile(r"[^A-Za-z0-9_\-\s]+")
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
_LISTS_OF_PROFILES = (PRESENTATION_CONTEXTS, ROLE_SELECTION, EXTENDED_NEGOTIATION)


def check_asconfig(text: str, file: str) -> list[Fault]:
    """The warnings about a file's text, in the order of its lines."""
    tree = read_tree(text)
    places = {
        *_about_start(text, tree),
        *_about_supersections(tree),
        *_about_sections(tree),
        *_about_keys(tree),
        *_about_references(tree),
        *_about_uids(tree),
    }
    return sorted(Fault(file, line, column, said) for line, column, said in places)


_Warnings = Iterator[tuple[int, int, str]]


def _about_start(text: str, tree: Tree) -> _Warnings:
    if text.startswith("\ufeff"):
        yield 1, 1, "a byte order mark: it hides the header that follows; save without it"
    for line, column, written in tree.lost:
        name = " ".join(written.replace("\ufeff", "").split())
        if written.startswith("["):
            yield line, column, f"{name} stands before the first [[…]]: it is ignored"
        else:
            yield line, column, f"{_shortened(name)!r} stands before any section: it is ignored"


def _about_supersections(tree: Tree) -> _Warnings:
    known = (*ENTRY_NAMES, PROFILES)
    first: dict[str, int] = {}
    for one in tree.supersections:
        yield from _about_name(one)
        if one.brackets > 2:
            yield one.line, one.column, f"{one.brackets} brackets count as two"
        if one.name not in known:
            hint = _did_you_mean(one.name, known)
            yield one.line, one.column, f"[[{one.written.strip()}]] is unknown: ignored{hint}"
        elif one.name in first:
            said = f"[[{one.written.strip()}]] again: only that in line {first[one.name]} is read"
            yield one.line, one.column, said
        else:
            first[one.name] = one.line


def _about_sections(tree: Tree) -> _Warnings:
    for one in _read_supersections(tree):
        first: dict[str, int] = {}
        for section in one.sections:
            yield from _about_name(section)
            if section.name in first and one.name != PROFILES:
                said = (
                    f"[{section.spelling}] again: its entries are appended to those of line "
                    f"{first[section.name]}"
                )
                yield section.line, section.column, said
            first.setdefault(section.name, section.line)
            entry_name = ENTRY_NAMES.get(one.name)
            if entry_name is not None and not numbered_entries(section, entry_name):
                missing = f"{ENTRY_SPELLINGS[entry_name]}1"
                said = f"[{section.spelling}] has no {missing}: the section does not exist"
                yield section.line, section.column, said


def _about_keys(tree: Tree) -> _Warnings:
    for one in _read_supersections(tree):
        for section in one.sections:
            first: dict[str, int] = {}
            entry_name = ENTRY_NAMES.get(one.name)
            read = len(numbered_entries(section, entry_name)) if entry_name else 0
            for key in section.keys:
                yield from _about_key_text(key)
                if key.name in first:
                    said = f"{key.written.strip()} again: the one in line {first[key.name]} counts"
                    yield key.line, key.column, said
                    continue
                first[key.name] = key.line
                if entry_name is not None:
                    yield from _about_number(key, entry_name, read)
                elif key.name not in _LISTS_OF_PROFILES:
                    hint = _did_you_mean(key.name, _LISTS_OF_PROFILES)
                    said = f"{_key_text(key)!r} is no key of a profile: never read{hint}"
                    yield key.line, key.column, said


def _about_number(key: Key, entry_name: str, read: int) -> _Warnings:
    number = key.name.removeprefix(entry_name)
    if number == key.name or not (number.isascii() and number.isdigit()):
        hint = _did_you_mean(key.name.rstrip("0123456789"), (entry_name,))
        right = ENTRY_SPELLINGS[entry_name]
        said = f"{_key_text(key)!r} is not {right} and a number: never read{hint}"
        yield key.line, key.column, said
    elif number != str(int(number)):
        said = f"{key.written.strip()}: a number with leading zeros is never read"
        yield key.line, key.column, said
    elif not 1 <= int(number) <= read:
        missing = f"there is no {ENTRY_SPELLINGS[entry_name]}{read + 1}, and reading stops there"
        said = "numbers start at 1" if int(number) == 0 else missing
        yield key.line, key.column, f"{key.written.strip()} is never read: {said}"


def _about_key_text(key: Key) -> _Warnings:
    yield from _about_key_name(key)
    if key.value != key.value.rstrip(" \t\n\v\f\r"):
        said = f"blanks at the end of the value of {_key_text(key)} belong to it"
        yield key.value_line, key.value_column, said
    pieces = key.value.split("\n")
    for line, piece in zip(key.continued, pieces[1:], strict=False):
        said = f"this line begins with a blank: it continues the value of {_key_text(key)}"
        if "=" in piece or piece.startswith("["):
            said += ", and is not read as what it looks like"
        yield line, 1, said
    if "#" in key.value:
        before, _, _ = key.value.partition("#")
        line = (key.value_line, *key.continued)[min(before.count("\n"), len(key.continued))]
        yield line, 0, "this # is not in column 1: it begins no comment and belongs to the value"


def _about_key_name(key: Key) -> _Warnings:
    written = key.written.strip()
    if "#" in written:
        said = f"this # is not in column 1: it begins no comment, and the key becomes {key.name}"
        yield key.line, key.column, said
    elif "\n" in written:
        said = f"no '=' in this line: up to the next '=' all is one key, {_shortened(key.name)}"
        yield key.line, key.column, said
    elif _DROPPED.search(written):
        dropped = "".join(_DROPPED.findall(written))
        said = f"{dropped!r} is dropped from the name {written!r}: it is read as {key.name}"
        yield key.line, key.column, said


def _about_name(one: Supersection | Section) -> _Warnings:
    written = one.written.strip()
    if "\n" in written:
        said = f"the name's bracket is not closed in its line: it is read as {_shortened(one.name)}"
        yield one.line, one.column, said
    elif _DROPPED.search(written):
        dropped = "".join(_DROPPED.findall(written))
        said = f"{dropped!r} is dropped from the name {written!r}: it is read as {one.name}"
        yield one.line, one.column, said


def _about_references(tree: Tree) -> _Warnings:
    used: dict[str, set[str]] = {name: set() for name in ENTRY_NAMES}
    for one in _read_supersections(tree):
        for section in one.sections:
            if one.name == PRESENTATION_CONTEXTS:
                for key in numbered_entries(section, ENTRY_NAMES[PRESENTATION_CONTEXTS]):
                    used[TRANSFER_SYNTAXES].add(reference_name(key.value.partition("\\")[2]))
            elif one.name == PROFILES:
                for name in _LISTS_OF_PROFILES:
                    found = section.get(name)
                    if found is not None:
                        used[name].add(reference_name(found.value))
    for one in _read_supersections(tree):
        for section in one.sections:
            if one.name != PROFILES and section.name not in used[one.name]:
                said = f"[{section.spelling}] is never referred to"
                yield section.line, section.column, said


def _about_uids(tree: Tree) -> _Warnings:
    for one in _read_supersections(tree):
        if one.name == PROFILES:
            continue
        for section in one.sections:
            seen: dict[str, int] = {}
            for key in numbered_entries(section, ENTRY_NAMES[one.name]):
                uid = resolve_uid(key.value.partition("\\")[0])
                if uid is None:
                    continue
                if len(uid) > 64 or not _UID.fullmatch(uid):
                    said = f"{uid} is no UID (PS3.5 9.1): no peer can mean it"
                    yield key.value_line, key.value_column, said
                is_syntax = is_transfer_syntax(uid)
                if one.name == TRANSFER_SYNTAXES:
                    if uid in seen:
                        said = f"{keyword_of(uid)} again: it is in line {seen[uid]} already"
                        yield key.value_line, key.value_column, said
                    seen.setdefault(uid, key.line)
                    if is_known(uid) and not is_syntax:
                        said = f"{keyword_of(uid)} is not a transfer syntax"
                        yield key.value_line, key.value_column, said
                elif is_syntax:
                    said = f"{keyword_of(uid)} is a transfer syntax, not a SOP class"
                    yield key.value_line, key.value_column, said


def _read_supersections(tree: Tree) -> list[Supersection]:
    """Those that count: the first of each known name."""
    found = (tree.get(name) for name in (*ENTRY_NAMES, PROFILES))
    return [one for one in found if one is not None]


def _key_text(key: Key) -> str:
    return _shortened(" ".join(key.written.split()))


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
