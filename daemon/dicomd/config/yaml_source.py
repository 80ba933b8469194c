"""YAML text to plain values, each with its place in the file.

PyYAML finds the nodes; what they mean is decided here, by YAML 1.2's core schema: ``on`` and
``22:00`` are text, ``0123`` is 123, only ``true`` and ``false`` are booleans. A key given twice is
a fault, not silently the last one. Keys are always text, as they are written.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from dicomd.errors import ConfigError, Fault

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document down."""

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)")
_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the C one where it was built
    """Finds nodes and resolves no scalar: that is done by ``_scalar``."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own shape


_MOST_VALUES = 200_000
"""Far more than a configuration has; aliases of aliases would fill the memory."""


@dataclass(slots=True)
class Document:
    """A YAML document as plain values. ``marks`` and ``key_marks`` are filled while it is read."""

    file: str
    data: Any = None
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    key_marks: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def mark(self, path: Path) -> tuple[int, int]:
        """Line and column, from 1, of the value at ``path``, or of its nearest parent."""
        return _nearest(self.marks, path)

    def key_mark(self, path: Path) -> tuple[int, int]:
        """Line and column of the key at ``path``, or of its nearest parent's value."""
        return self.key_marks.get(path) or _nearest(self.marks, path)

    def fault(self, path: Path, text: str, *, at_key: bool = False) -> Fault:
        """A fault at the value (or the key) at ``path``."""
        line, column = self.key_mark(path) if at_key else self.mark(path)
        return Fault(self.file, line, column, text)


def load_yaml(text: str, file: str) -> Document:
    """Read one document. An empty one is an empty mapping.

    Raises ConfigError with the place where it is not YAML, or with every key that is given twice.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        told = _problem(error)
        if mark and text.startswith("\t", mark.index):
            told += "; indent with blanks, not with tabs"
        raise ConfigError([Fault(file, line, column, told)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"character #x{_code(error.character):04x} is not allowed in YAML"
        raise ConfigError([Fault(file, line, 0, what)]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Fault(file, 0, 0, f"not YAML: {error}")]) from error
    except RecursionError as error:
        raise ConfigError([Fault(file, 0, 0, "nested too deeply")]) from error
    document = Document(file)
    if root is None:
        document.data = {}
        document.marks[()] = (1, 1)
        return document
    faults: list[Fault] = []
    try:
        document.data = _value(root, (), document, faults, [])
    except RecursionError as error:
        raise ConfigError([Fault(file, 0, 0, "nested too deeply")]) from error
    if faults:
        raise ConfigError(sorted(faults))
    return document


def read_yaml(path: str) -> Document:
    """Read a file. Raises ConfigError also when it cannot be read or is not UTF-8."""
    return load_yaml(read_text(path), path)


def read_text(path: str) -> str:
    """A file's text. Raises ConfigError when it cannot be read or is not UTF-8."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except OSError as error:
        raise ConfigError([Fault(path, 0, 0, f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Fault(path, 0, 0, "is not UTF-8 text")]) from error


def _value(
    node: yaml.Node, path: Path, document: Document, faults: list[Fault], above: list[yaml.Node]
) -> Any:
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    document.marks[path] = place
    if len(document.marks) > _MOST_VALUES:
        raise ConfigError([Fault(document.file, *place, "too many values; aliases multiply them")])
    if any(node is other for other in above):
        faults.append(Fault(document.file, *place, "an alias of the value that it stands in"))
        return None
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, document, faults)
    inside = [*above, node]
    if isinstance(node, yaml.SequenceNode):
        return [
            _value(item, (*path, position), document, faults, inside)
            for position, item in enumerate(node.value)
        ]
    assert isinstance(node, yaml.MappingNode)
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key_place = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode):
            faults.append(Fault(document.file, *key_place, "a key must be text"))
            continue
        key: str = key_node.value
        if key in mapping:
            first = document.key_marks[(*path, key)][0]
            text = f"key {key!r} is given twice; the first is in line {first}"
            faults.append(Fault(document.file, *key_place, text))
            continue
        document.key_marks[(*path, key)] = key_place
        mapping[key] = _value(value_node, (*path, key), document, faults, inside)
    return mapping


def _scalar(node: yaml.ScalarNode, document: Document, faults: list[Fault]) -> Any:
    text: str = node.value
    if node.style or (node.tag == "tag:yaml.org,2002:str" and _is_tagged(node)):
        return text
    if node.tag.startswith("!") and node.tag != "!":
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        faults.append(Fault(document.file, *place, f"the tag {node.tag!r} means nothing here"))
        return None
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _is_tagged(node: yaml.ScalarNode) -> bool:
    """Whether a plain scalar was written with an explicit !!str."""
    return bool(node.end_mark.index - node.start_mark.index > len(node.value))


def _nearest(marks: dict[Path, tuple[int, int]], path: Path) -> tuple[int, int]:
    while path and path not in marks:
        path = path[:-1]
    return marks.get(path, (0, 0))


def _problem(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    return "not YAML: " + (", ".join(parts) or "syntax error")


def _code(character: Any) -> int:
    if isinstance(character, int):
        return character
    return ord(character[:1] or "\0")
