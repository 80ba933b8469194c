"""A tree of plain values to the settings types, each fault with its place.

Two passes. The first walks values and types side by side: it finds keys that no type has (with a
suggestion), and makes paths absolute. The second is pydantic's, which knows numbers, bounds and
choices, and reports all that is wrong at once. pydantic is met here and in ``schema`` only.
"""

import difflib
import json
import os
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dicomd.config.yaml_source import Document, Path
from dicomd.errors import Fault
from dicomd.settings.daemon import DaemonSettings

INTERNAL = {
    ("DaemonSettings", "once"),
    ("DaemonSettings", "warnings"),
    ("ListenerSettings", "negotiation"),
    ("ListenerSettings", "implementation"),
    ("ListenerSettings", "accept_empty"),
    ("LogSettings", "dcmtk"),
    ("TlsSettings", "key_password"),
}
"""Fields that ``recv``, ``move`` and this room set; never keys of a file."""

PATHS = {
    ("DaemonSettings", "state_directory"),
    ("DaemonSettings", "control_socket"),
    ("StoreSettings", "directory"),
    ("ProfileReference", "file"),
    ("TlsSettings", "certificate"),
    ("TlsSettings", "key"),
    ("TlsSettings", "key_password_file"),
    ("TlsSettings", "ca"),
    ("TlsSettings", "crl"),
    ("RetrievalSettings", "list"),
    ("JobsSettings", "password_file"),
    ("LogFileSettings", "path"),
    ("LogSettings", "config"),
}
"""Fields that name a file or folder. A relative one starts at the folder of its file."""

CREDENTIAL = "credential:"
"""``credential:NAME`` is the file NAME among systemd's credentials."""

Place = tuple[str, int, int]


@dataclass(slots=True)
class Tree:
    """The values of one configuration, from one file or several, with the place of each."""

    data: dict[str, Any]
    marks: dict[Path, Place] = field(default_factory=dict)
    key_marks: dict[Path, Place] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Document) -> "Tree":
        """The tree of one file."""
        tree = cls(document.data if isinstance(document.data, dict) else {})
        tree.take_marks(document, ())
        return tree

    def take_marks(self, document: Document, under: Path) -> None:
        """Add the places of a document's values at or below a path."""
        for source, target in (
            (document.marks, self.marks),
            (document.key_marks, self.key_marks),
        ):
            for path, (line, column) in source.items():
                if path[: len(under)] == under:
                    target[path] = (document.file, line, column)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """File, line and column of a value (or of its key), or of its nearest parent's."""
        if key and path in self.key_marks:
            return self.key_marks[path]
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, ("", 0, 0))

    def fault(self, path: Path, text: str, *, key: bool = False) -> Fault:
        """A fault at a value, or at its key."""
        return Fault(*self.place(path, key=key), text)


def key_of(name: str) -> str:
    """A field's key in the file: ``from_`` is written ``from``."""
    return name.removesuffix("_")


def public_fields(settings_type: type) -> dict[str, Any]:
    """The keys that a settings type has in the file, with their types."""
    hints = get_type_hints(settings_type, include_extras=True)
    return {
        key_of(one.name): hints[one.name]
        for one in fields(settings_type)
        if (settings_type.__name__, one.name) not in INTERNAL
    }


@dataclass(frozen=True, slots=True)
class Built:
    """Settings, and the faults found while building them. With faults the settings are those of
    the values that are left without what is wrong, or None when nothing sound is left."""

    settings: DaemonSettings | None
    faults: tuple[Fault, ...] = ()
    dropped: tuple[Path, ...] = ()
    """The values that were left out."""


def build(tree: Tree) -> Built:
    """The settings that a tree describes, with every fault of keys, types and bounds."""
    faults: list[Fault] = []
    values = _prepare(tree.data, DaemonSettings, (), tree, faults)
    try:
        return Built(_validated(values), tuple(faults))
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        faults += _faults_of(details, values, tree)
        dropped = tuple({_path_of(detail, values)[0] for detail in details})
    for path in sorted(dropped, key=len, reverse=True):
        _drop(values, path)
    try:
        return Built(_validated(values), tuple(faults), dropped)
    except ValidationError:
        return Built(None, tuple(faults), dropped)


def _validated(values: Any) -> DaemonSettings:
    return TypeAdapter(DaemonSettings).validate_json(json.dumps(values), strict=True)


def _drop(values: Any, path: Path) -> None:
    """Leave out a value. Keys are those of the file, so ``from`` may be ``from_`` here."""
    *above, last = path or ("",)
    for part in above:
        if isinstance(values, dict):
            values = values.get(str(part), values.get(f"{part}_"))
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
    if isinstance(values, dict):
        values.pop(str(last), None)
        values.pop(f"{last}_", None)
    elif isinstance(values, list) and isinstance(last, int) and last < len(values):
        del values[last]


def _prepare(value: Any, expected: Any, path: Path, tree: Tree, faults: list[Fault]) -> Any:
    """The value as pydantic shall see it: known keys only, fields' own names, absolute paths."""
    settings_type = dataclass_in(expected)
    if settings_type is not None and isinstance(value, dict):
        known = public_fields(settings_type)
        prepared: dict[str, Any] = {}
        for key, inner in value.items():
            inner_path = (*path, key)
            if key not in known:
                faults.append(tree.fault(inner_path, unknown(key, known, path), key=True))
                continue
            name = next(one.name for one in fields(settings_type) if key_of(one.name) == key)
            if (settings_type.__name__, name) in PATHS and isinstance(inner, str) and inner:
                prepared[name] = _path(inner, inner_path, tree, faults)
                continue
            if inner is None:
                # `listeners:` with everything below it commented out is as if not written.
                continue
            prepared[name] = _prepare(inner, known[key], inner_path, tree, faults)
        return prepared
    item = item_type(expected)
    if item is not None and isinstance(value, dict):
        return {
            key: _prepare(inner, item, (*path, key), tree, faults) for key, inner in value.items()
        }
    if item is not None and isinstance(value, list):
        return [
            _prepare(inner, item, (*path, position), tree, faults)
            for position, inner in enumerate(value)
        ]
    return value


def unknown(key: str, known: Sequence[str] | dict[str, Any], path: Path) -> str:
    """The text about a key that nothing has."""
    where = ".".join(str(part) for part in path)
    close = difflib.get_close_matches(key, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
    return f"unknown key {key!r}{f' in {where}' if where else ''}; {hint}"


def _path(text: str, path: Path, tree: Tree, faults: list[Fault]) -> str:
    if text.startswith(CREDENTIAL):
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        name = text.removeprefix(CREDENTIAL)
        if not folder:
            hint = "systemd hands over no credentials (LoadCredential= in the unit does)"
            faults.append(tree.fault(path, f"no credential {name!r}: {hint}"))
            return ""
        if not name or "/" in name:
            faults.append(tree.fault(path, f"{name!r} is no credential name"))
            return ""
        return os.path.join(folder, name)
    folder = os.path.dirname(os.path.abspath(tree.place(path)[0]))
    return os.path.normpath(os.path.join(folder, text))


def _members(expected: Any) -> tuple[Any, ...]:
    """The types that a field may have: of ``X | None`` both, of ``Annotated[X, …]`` X."""
    if get_origin(expected) is Annotated:
        return _members(get_args(expected)[0])
    if get_origin(expected) in (Union, types.UnionType):
        return tuple(part for member in get_args(expected) for part in _members(member))
    return (expected,)


def dataclass_in(expected: Any) -> type | None:
    """The settings type that a field may hold, if there is one."""
    for member in _members(expected):
        if isinstance(member, type) and is_dataclass(member):
            return member
    return None


def item_type(expected: Any) -> Any:
    """The type of the values of a ``dict[str, X]`` or the items of a ``tuple[X, ...]``."""
    for member in _members(expected):
        if get_origin(member) is dict:
            return get_args(member)[1]
        if get_origin(member) is tuple:
            return get_args(member)[0]
    return None


def _faults_of(details: Sequence[ErrorDetails], values: Any, tree: Tree) -> Iterator[Fault]:
    """pydantic's errors as faults: one a place, members of a union put together."""
    found: dict[tuple[Path, bool], list[ErrorDetails]] = {}
    for detail in details:
        path, depth_known = _path_of(detail, values)
        found.setdefault((path, depth_known), []).append(detail)
    for (path, at_key), errors in found.items():
        below = any(other[: len(path)] == path != other for other, _ in found)
        if below and all(error["type"] in _WRONG_KIND for error in errors):
            # A mapping that did not fit one member of a union fits another better.
            continue
        where = ".".join(str(part) for part in path)
        yield tree.fault(path, f"{where}: {_text(errors)}", key=at_key)


_WRONG_KIND = {"literal_error", "string_type", "int_type", "float_type", "bool_type"}

_EXPECTED = {
    "string_type": "text (a number that is meant as text stands in quotes)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "a mapping of names",
    "tuple_type": "a list",
    "dataclass_type": "a mapping",
}


def _text(errors: Sequence[ErrorDetails]) -> str:
    expected: list[str] = []
    for error in errors:
        kind, context = error["type"], error.get("ctx", {})
        if kind == "missing":
            return f"{key_of(str(error['loc'][-1]))!r} is missing"
        if kind == "value_error":
            expected.append(str(context["error"]))
        elif kind == "literal_error":
            expected.append(f"expected {context['expected']}")
        elif kind == "greater_than_equal":
            expected.append(f"{error['input']!r} is too small; the least is {context['ge']}")
        elif kind == "less_than_equal":
            expected.append(f"{error['input']!r} is too large; the most is {context['le']}")
        elif kind in _EXPECTED:
            expected.append(f"expected {_EXPECTED[kind]}")
        else:
            expected.append(error["msg"][:1].lower() + error["msg"][1:])
    phrases = list(dict.fromkeys(expected))
    text = phrases[0] + "".join(f" or {part.removeprefix('expected ')}" for part in phrases[1:])
    if text.startswith("expected"):
        shown = _shown(errors[0]["input"])
        text = f"{shown} is not right; {text}"
    return text


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _path_of(detail: ErrorDetails, values: Any) -> tuple[Path, bool]:
    """The path of an error in the file, without the union members that pydantic names in it; and
    whether the fault is at the key (something is missing below it) and not at the value."""
    path: list[str | int] = []
    current = values
    for part in detail["loc"]:
        if isinstance(current, dict) and part in current:
            path.append(key_of(str(part)))
            current = current[str(part)]
        elif isinstance(current, list) and isinstance(part, int) and part < len(current):
            path.append(part)
            current = current[part]
    return tuple(path), detail["type"] == "missing"
