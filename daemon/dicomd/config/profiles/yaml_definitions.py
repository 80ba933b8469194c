"""The definitions of a YAML profile file and of the files that it includes, not yet evaluated.

A definition of the including file stands before one of the same name that is included; ``below``
keeps the included one, so that a definition can extend its own name.
"""

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dicomd.config.profiles.asconfig import parse_asconfig
from dicomd.config.profiles.asconfig_lexer import reference_name
from dicomd.config.profiles.file import YAML_KEYS, ProfileFile
from dicomd.config.yaml_source import Document, Path, load_yaml
from dicomd.errors import ConfigError, Fault

KINDS = YAML_KEYS[1:]
"""The top keys that define something by name."""


@dataclass(slots=True, eq=False)
class Definition:
    """A list or profile as it is written: the value at ``path`` of a document.

    One that comes from an asconfig file has no document: ``ready`` is that file.
    """

    name: str
    kind: str
    document: Document | None = None
    path: Path = ()
    value: Any = None
    ready: ProfileFile | None = None
    below: "Definition | None" = None

    @property
    def file(self) -> str:
        """Where it stands."""
        if self.document is not None:
            return self.document.file
        return self.ready.file if self.ready is not None else ""


Definitions = dict[str, dict[str, Definition]]
"""Kind -> name in capitals -> definition."""


@dataclass(slots=True)
class Gathering:
    """Reads a file and what it includes. ``faults`` grows; files are read once each."""

    read: Callable[[str], str]
    is_yaml: Callable[[str], bool]
    faults: list[Fault] = field(default_factory=list)
    _known: dict[str, Definitions] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def gather(self, text: str, file: str, *, yaml: bool) -> Definitions:
        """All definitions that count in a file of that form."""
        self._open.append(os.path.realpath(file))
        try:
            if yaml:
                return self._gather_yaml(load_yaml(text, file))
            return _definitions_of(parse_asconfig(text, file))
        except ConfigError as error:
            self.faults.extend(error.faults)
            return {kind: {} for kind in KINDS}
        finally:
            self._open.pop()

    def _gather_yaml(self, document: Document) -> Definitions:
        definitions: Definitions = {kind: {} for kind in KINDS}
        if not isinstance(document.data, dict):
            self.faults.append(document.fault((), "a profile file is a mapping of keys"))
            return definitions
        for key in document.data:
            if key not in YAML_KEYS:
                text = f"unknown key {key!r}{did_you_mean(key, YAML_KEYS)}"
                self.faults.append(document.fault((key,), text, at_key=True))
        self._include(document, definitions)
        for kind in KINDS:
            self._define(document, kind, definitions[kind])
        return definitions

    def _include(self, document: Document, definitions: Definitions) -> None:
        named = document.data.get("include")
        if named is None:
            return
        for position, name in enumerate(named if isinstance(named, list) else [named]):
            path: Path = ("include", position) if isinstance(named, list) else ("include",)
            if not isinstance(name, str) or not name:
                self.faults.append(document.fault(path, "the name of a file belongs here"))
                continue
            for kind, included in self._included(document, path, name).items():
                for key, definition in included.items():
                    other = definitions[kind].setdefault(key, definition)
                    if other is not definition:
                        text = (
                            f"{definition.name!r} of {kind} is defined in {other.file} and in "
                            f"{definition.file}; include one of them only"
                        )
                        self.faults.append(document.fault(path, text))

    def _included(self, document: Document, path: Path, name: str) -> Definitions:
        file = os.path.join(os.path.dirname(document.file), name)
        real = os.path.realpath(file)
        if real in self._open:
            self.faults.append(document.fault(path, f"{name} includes this file again: a circle"))
            return {}
        if real not in self._known:
            try:
                text = self.read(file)
            except ConfigError as error:
                detail = error.faults[0].text
                self.faults.append(document.fault(path, f"included file {name} {detail}"))
                return {}
            self._known[real] = self.gather(text, file, yaml=self.is_yaml(text))
        return self._known[real]

    def _define(self, document: Document, kind: str, into: dict[str, Definition]) -> None:
        written = document.data.get(kind)
        if written is None:
            return
        if not isinstance(written, dict):
            text = f"{kind} is a mapping of names to definitions"
            self.faults.append(document.fault((kind,), text))
            return
        own: dict[str, str] = {}
        for name, value in written.items():
            key = reference_name(name)
            if not key:
                self.faults.append(document.fault((kind, name), "a name is empty", at_key=True))
            elif key in own:
                text = f"{name!r} is the same name as {own[key]!r}: case and blanks don't count"
                self.faults.append(document.fault((kind, name), text, at_key=True))
            else:
                own[key] = name
                into[key] = Definition(
                    name, kind, document, (kind, name), value, below=into.get(key)
                )


def did_you_mean(word: str, known: "list[str] | tuple[str, ...]") -> str:
    """``; did you mean 'X'?`` or ``; known: X, Y``."""
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are: {', '.join(known)}" if len(known) <= 8 else ""


def _definitions_of(found: ProfileFile) -> Definitions:
    tables: dict[str, list[str]] = {
        "transfer_syntaxes": list(found.transfer_syntaxes),
        "presentation_contexts": list(found.contexts),
        "role_selection": list(found.roles),
        "extended_negotiation": list(found.extended_negotiation),
        "profiles": list(found.profiles),
    }
    return {
        kind: {reference_name(name): Definition(name, kind, ready=found) for name in names}
        for kind, names in tables.items()
    }
