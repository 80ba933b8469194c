"""ProfileFile -> text, in either form. What is written reads back as the same profiles.

Inheritance and includes are gone by then: each list is written out. asconfig text uses only names
that every DCMTK from 3.6.7 on knows, and digits for everything else.
"""

import re
from collections.abc import Callable, Iterable

from dicomd.config.profiles.asconfig_lexer import reference_name
from dicomd.config.profiles.file import ProfileFile
from dicomd.config.profiles.uid_names import dcmtk_name_of, find_uid, keyword_of

_DROPPED_IN_ASCONFIG = re.compile(r"[^A-Za-z0-9_-]+")
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_PLAIN_UID = re.compile(r"[0-9]+(\.[0-9]+){2,}")
_YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def write_asconfig(found: ProfileFile) -> str:
    """A file in DCMTK's format. Characters that its section names cannot have are left out."""
    return _Asconfig(found).text()


def write_yaml(found: ProfileFile) -> str:
    """A file in the YAML form."""
    return _Yaml(found).text()


def _renamed(names: Iterable[str], legal: Callable[[str], str]) -> dict[str, str]:
    """Old name -> new name: legal, not empty, and no two the same without case and blanks."""
    new: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        wanted = legal(name) or "Unnamed"
        unique, number = wanted, 1
        while reference_name(unique) in taken:
            number += 1
            unique = f"{wanted}-{number}"
        taken.add(reference_name(unique))
        new[name] = unique
    return new


class _Asconfig:
    """Lines of an asconfig file."""

    def __init__(self, found: ProfileFile) -> None:
        self._found = found
        self._lines: list[str] = []

    def text(self) -> str:
        found = self._found
        syntaxes = _renamed(found.transfer_syntaxes, _legal_section)
        contexts = _renamed(found.contexts, _legal_section)
        roles = _renamed(found.roles, _legal_section)
        items = _renamed(found.extended_negotiation, _legal_section)
        profiles = _renamed(found.profiles, _legal_section)
        self._lines.append("[[TransferSyntaxes]]")
        for name, uids in found.transfer_syntaxes.items():
            self._section(syntaxes[name], "TransferSyntax", [(uid, "") for uid in uids])
        self._lines += ["", "[[PresentationContexts]]"]
        for name, listed in found.contexts.items():
            pairs = [
                (context.abstract_syntax, "\\" + syntaxes[context.transfer_syntax_list])
                for context in listed
            ]
            self._section(contexts[name], "PresentationContext", pairs)
        if found.roles:
            self._lines += ["", "[[SCPSCURoleSelection]]"]
        for name, by_class in found.roles.items():
            pairs = [(uid, f"\\{role.value}") for uid, role in by_class.items()]
            self._section(roles[name], "Role", pairs)
        if found.extended_negotiation:
            self._lines += ["", "[[ExtendedNegotiation]]"]
        for name, data in found.extended_negotiation.items():
            pairs = [(uid, f"\\{value.hex()}") for uid, value in data.items()]
            self._section(items[name], "ExtendedNegotiation", pairs)
        self._lines += ["", "[[Profiles]]"]
        for name, entry in found.profiles.items():
            self._lines += ["", f"[{profiles[name]}]"]
            self._lines.append(f"PresentationContexts = {contexts[entry.contexts]}")
            if entry.roles:
                self._lines.append(f"SCPSCURoleSelection = {roles[entry.roles]}")
            if entry.extended_negotiation:
                self._lines.append(f"ExtendedNegotiation = {items[entry.extended_negotiation]}")
        return "\n".join(self._lines) + "\n"

    def _section(self, name: str, entry_name: str, pairs: list[tuple[str, str]]) -> None:
        self._lines += ["", f"[{name}]"]
        width = len(str(len(pairs)))
        for number, (uid, rest) in enumerate(pairs, start=1):
            known = dcmtk_name_of(uid)
            keyword = keyword_of(uid)
            if known is None and keyword != uid:
                self._lines.append(f"# {keyword}")
            key = f"{entry_name}{number}".ljust(len(entry_name) + width)
            self._lines.append(f"{key} = {known or uid}{rest}")


class _Yaml:
    """Lines of a YAML file."""

    def __init__(self, found: ProfileFile) -> None:
        self._found = found
        self._lines: list[str] = []

    def text(self) -> str:
        found = self._found
        syntaxes = _renamed(found.transfer_syntaxes, str)
        contexts = _renamed(found.contexts, str)
        roles = _renamed(found.roles, str)
        items = _renamed(found.extended_negotiation, str)
        profiles = _renamed(found.profiles, str)
        self._top("transfer_syntaxes")
        for name, uids in found.transfer_syntaxes.items():
            self._name(syntaxes[name])
            self._lines += [f"    - {_yaml_uid(uid)}" for uid in uids]
        self._top("presentation_contexts")
        for name, listed in found.contexts.items():
            self._name(contexts[name])
            classes = [context.abstract_syntax for context in listed]
            dash = "- " if len(set(classes)) < len(classes) else ""
            for context in listed:
                reference = _yaml_name(syntaxes[context.transfer_syntax_list])
                self._lines.append(f"    {dash}{_yaml_uid(context.abstract_syntax)}: {reference}")
        if found.roles:
            self._top("role_selection")
        for name, by_class in found.roles.items():
            self._name(roles[name])
            for uid, role in by_class.items():
                self._lines.append(f"    {_yaml_uid(uid)}: {role.value}")
        if found.extended_negotiation:
            self._top("extended_negotiation")
        for name, data in found.extended_negotiation.items():
            self._name(items[name])
            for uid, value in data.items():
                self._lines.append(f'    {_yaml_uid(uid)}: "{value.hex()}"')
        self._top("profiles")
        for name, entry in found.profiles.items():
            self._name(profiles[name])
            reference = _yaml_name(contexts[entry.contexts])
            self._lines.append(f"    presentation_contexts: {reference}")
            if entry.roles:
                self._lines.append(f"    role_selection: {_yaml_name(roles[entry.roles])}")
            if entry.extended_negotiation:
                reference = _yaml_name(items[entry.extended_negotiation])
                self._lines.append(f"    extended_negotiation: {reference}")
        return "\n".join(self._lines) + "\n"

    def _top(self, key: str) -> None:
        if self._lines:
            self._lines.append("")
        self._lines.append(f"{key}:")

    def _name(self, name: str) -> None:
        self._lines.append(f"  {_yaml_name(name)}:")


def _legal_section(name: str) -> str:
    return _DROPPED_IN_ASCONFIG.sub("", name)


def _yaml_uid(uid: str) -> str:
    keyword = keyword_of(uid)
    if keyword != uid and find_uid(keyword) == uid:
        return _yaml_name(keyword)
    return uid if _PLAIN_UID.fullmatch(uid) else f'"{uid}"'


def _yaml_name(name: str) -> str:
    """Plain where it reads back as the same text, also in a YAML 1.1 reader; else quoted."""
    if _PLAIN_NAME.fullmatch(name) and name.lower() not in _YAML_WORDS:
        return name
    return '"' + "".join(_escaped(character) for character in name) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
