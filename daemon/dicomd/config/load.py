"""dicomd.yaml and all that it names, to DaemonSettings, or every fault at once.

``load`` is what a start and a reload call: it reads everything, changes nothing, and either
returns settings that can be run or raises ConfigError.
"""

import glob
import os
from dataclasses import dataclass, field, replace
from typing import Any

from dicomd.config.build import Built, Tree, build
from dicomd.config.resolve import CheckTemplate, resolve
from dicomd.config.yaml_source import Document, Path, read_yaml
from dicomd.errors import ConfigError, Fault
from dicomd.settings.daemon import DaemonSettings

INCLUDE = "include"
NAMED = ("listeners", "stores", "remotes", "retrievals")
"""Sections whose entries have names: each entry stands whole in one file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings that can be run, and what is questionable about their files."""

    settings: DaemonSettings
    warnings: tuple[Fault, ...] = ()
    files: tuple[str, ...] = field(default=())
    """The YAML files that were read, in their order."""


def any_template(text: str, folders: bool) -> None:
    """No check of naming templates: for whoever needs the settings but opens no store."""


def load(path: str, *, check_template: CheckTemplate = any_template) -> DaemonSettings:
    """Everything that the daemon runs on. Raises ConfigError with every fault."""
    return load_with_warnings(path, check_template=check_template).settings


def load_with_warnings(path: str, *, check_template: CheckTemplate = any_template) -> Loaded:
    """``load``, and the warnings that ``dicomd check`` prints."""
    tree, files = read_tree(path)
    built = build(tree)
    if built.settings is None:
        raise ConfigError(sorted(set(built.faults)))
    try:
        resolved, warnings = resolve(built.settings, tree, check_template)
    except ConfigError as error:
        # What the values left out would have meant is no fault of its own.
        own = [fault for fault in error.faults if not _follows(fault, built, tree)]
        raise ConfigError(sorted({*built.faults, *own})) from error
    if built.faults:
        raise ConfigError(sorted(set(built.faults)))
    # The log writer itself tells what is doubtful in a log configuration file.
    doubts = [str(warning) for warning in warnings if warning.file != resolved.logging.config]
    resolved = replace(resolved, warnings=tuple(doubts))
    return Loaded(settings=resolved, warnings=tuple(warnings), files=tuple(files))


def _follows(fault: Fault, built: Built, tree: Tree) -> bool:
    """Whether a fault may only be there because a value above, below or beside it was left out."""
    for path in built.dropped:
        if len(path) <= 2 and path[:1] and path[0] in NAMED:
            # A whole entry, or all of them, is left out: whoever names it is not at fault.
            if str(path[0]).rstrip("s") in fault.text and repr(path[-1]) in fault.text:
                return True
            if len(path) == 1 or path[0] == "stores":
                return True
        places = {tree.place(path[:length], key=True) for length in range(1, len(path) + 1)}
        places.add(tree.place(path))
        if (fault.file, fault.line, fault.column) in places:
            return True
    return False


def read_tree(path: str) -> tuple[Tree, list[str]]:
    """The values of a configuration file and of those it includes, and the files' names."""
    document = read_yaml(path)
    if not isinstance(document.data, dict):
        raise ConfigError([document.fault((), "expected a mapping: keys such as `listeners:`")])
    faults: list[Fault] = []
    included = document.data.pop(INCLUDE, None)
    tree = Tree.of(document)
    files = [path]
    for name in _included_files(included, document, faults):
        try:
            other = read_yaml(name)
        except ConfigError as error:
            faults += error.faults
            continue
        files.append(name)
        if not isinstance(other.data, dict):
            faults.append(other.fault((), "expected a mapping: keys such as `listeners:`"))
        elif INCLUDE in other.data:
            text = "an included file includes no others; name them in the first file"
            faults.append(other.fault((INCLUDE,), text, at_key=True))
        else:
            _merge(tree, tree.data, other.data, (), other, faults)
    if faults:
        raise ConfigError(sorted(faults))
    return tree, files


def _included_files(included: Any, document: Document, faults: list[Fault]) -> list[str]:
    """The files that ``include:`` names: a file, a folder (its *.yaml and *.yml, sorted), a
    pattern, or a list of these."""
    if included is None:
        return []
    names = included if isinstance(included, list) else [included]
    here = os.path.dirname(os.path.abspath(document.file))
    found: list[str] = []
    for position, name in enumerate(names):
        place: Path = (INCLUDE, position) if isinstance(included, list) else (INCLUDE,)
        if not isinstance(name, str) or not name:
            faults.append(document.fault(place, "expected the name of a file or a folder"))
            continue
        full = os.path.normpath(os.path.join(here, name))
        if os.path.isdir(full):
            found += sorted(
                os.path.join(full, entry)
                for entry in os.listdir(full)
                if entry.endswith((".yaml", ".yml")) and not entry.startswith(".")
            )
        elif glob.has_magic(name):
            found += sorted(glob.glob(full))
        elif os.path.exists(full):
            found.append(full)
        else:
            faults.append(document.fault(place, f"{name!r} does not exist"))
    own = os.path.abspath(document.file)
    return [name for name in dict.fromkeys(found) if os.path.abspath(name) != own]


def _merge(
    tree: Tree,
    into: dict[str, Any],
    data: dict[str, Any],
    path: Path,
    document: Document,
    faults: list[Fault],
) -> None:
    """Add an included file's values. What stands in two files is a fault."""
    for key, value in data.items():
        here = (*path, key)
        if key not in into or into[key] is None:
            into[key] = value
            tree.take_marks(document, here)
            continue
        whole = len(here) == 2 and here[0] in NAMED
        if isinstance(value, dict) and isinstance(into[key], dict) and not whole:
            _merge(tree, into[key], value, here, document, faults)
        elif value is not None:
            file, line, _ = tree.place(here, key=True)
            name = ".".join(str(part) for part in here)
            text = f"{name} is given twice; the first is in {file}:{line}"
            faults.append(document.fault(here, text, at_key=True))
