"""Association profiles in YAML -> ProfileFile: asconfig's model, readable and with inheritance.

The README's chapter "Association profiles" and dicomd-profile(5) describe the form. Names of lists
and profiles compare without case and blanks, as in asconfig; UIDs may be written as digits, as
DICOM keywords or as DCMTK's names.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from dicomd.config.profiles.asconfig_lexer import reference_name
from dicomd.config.profiles.file import ListedContext, ProfileEntry, ProfileFile, spelling_of
from dicomd.config.profiles.uid_names import described
from dicomd.config.profiles.yaml_definitions import Definition, Definitions, Gathering, did_you_mean
from dicomd.config.profiles.yaml_entries import (
    Entry,
    Place,
    key_of,
    read_extended_negotiation,
    read_roles,
    read_uid,
    read_uids,
)
from dicomd.errors import ConfigError, Fault

LIST_KEYS = ("extends", "remove", "override", "add_first", "add")
"""A mapping with one of these inherits; no SOP class has such a name."""

PROFILE_KEYS = (
    "extends",
    "presentation_contexts",
    "role_selection",
    "extended_negotiation",
    *LIST_KEYS[1:],
)
GROUP_KEYS = ("sop_classes", "transfer_syntaxes")

Entries = tuple[Entry, ...]


def parse_profile_yaml(
    text: str, file: str, read: Callable[[str], str], is_yaml: Callable[[str], bool]
) -> ProfileFile:
    """Read a file's text; ``read`` and ``is_yaml`` serve the files that it includes.

    Raises ConfigError with every fault in all of them.
    """
    gathering = Gathering(read, is_yaml)
    definitions = gathering.gather(text, file, yaml=True)
    if gathering.faults:
        raise ConfigError(gathering.faults)
    evaluation = _Evaluation(definitions, ProfileFile(file, "yaml"))
    evaluation.evaluate()
    if evaluation.faults:
        raise ConfigError(sorted(set(evaluation.faults)))
    return evaluation.found


@dataclass(slots=True)
class _Evaluation:
    """Evaluates definitions on demand, each once, and fills ``found``.

    A reference is looked up in the end result of all includes, so a definition that replaces an
    included one is seen by everything that refers to it.
    """

    definitions: Definitions
    found: ProfileFile
    faults: list[Fault] = field(default_factory=list)
    _lists: dict[int, Entries] = field(default_factory=dict)
    _profiles: dict[int, ProfileEntry] = field(default_factory=dict)
    _running: list[Definition] = field(default_factory=list)

    def evaluate(self) -> None:
        """Every definition, used or not."""
        for kind in ("transfer_syntaxes", "presentation_contexts"):
            for definition in self.definitions[kind].values():
                self._store(kind, definition.name, self._list(definition))
        for kind in ("role_selection", "extended_negotiation"):
            for definition in self.definitions[kind].values():
                self._store(kind, definition.name, self._list(definition))
        for definition in self.definitions["profiles"].values():
            self.found.profiles[definition.name] = self._profile(definition)

    def _store(self, kind: str, name: str, entries: Entries) -> None:
        match kind:
            case "transfer_syntaxes":
                self.found.transfer_syntaxes[name] = tuple(key_of(entry) for entry in entries)
            case "presentation_contexts":
                self.found.contexts[name] = tuple(
                    entry for entry in entries if isinstance(entry, ListedContext)
                )
            case "role_selection":
                self.found.roles[name] = dict(entries)  # type: ignore[arg-type]  # pairs by kind
            case _:
                self.found.extended_negotiation[name] = dict(entries)  # type: ignore[arg-type]  # pairs by kind

    def _list(self, definition: Definition) -> Entries:
        """The entries of a named list."""
        if id(definition) in self._lists:
            return self._lists[id(definition)]
        if definition in self._running:
            self._report(definition, f"{definition.name!r} extends itself, by a circle")
            return ()
        self._running.append(definition)
        if definition.document is None:
            entries = self._ready_list(definition)
        else:
            place = Place(definition.document, definition.path, definition.value)
            entries = self._value(place, definition.kind, definition)
        self._running.pop()
        self._lists[id(definition)] = entries
        return entries

    def _ready_list(self, definition: Definition) -> Entries:
        """A list out of an asconfig file; its references are bound to what counts here."""
        ready = definition.ready
        assert ready is not None
        match definition.kind:
            case "transfer_syntaxes":
                return ready.transfer_syntaxes[definition.name]
            case "presentation_contexts":
                bound = self.definitions["transfer_syntaxes"]
                return tuple(
                    ListedContext(
                        entry.abstract_syntax,
                        bound[reference_name(entry.transfer_syntax_list)].name,
                    )
                    for entry in ready.contexts[definition.name]
                )
            case "role_selection":
                return tuple(ready.roles[definition.name].items())
            case _:
                return tuple(ready.extended_negotiation[definition.name].items())

    def _value(self, place: Place, kind: str, owner: Definition | None) -> Entries:
        """A list as it is written: plain, or a mapping that inherits."""
        before = len(self.faults)
        if isinstance(place.value, dict) and not set(LIST_KEYS).isdisjoint(place.value):
            entries: list[Entry] = []
            self._check_keys(place, LIST_KEYS)
            if "extends" in place.value:
                for reference in (place / "extends").items():
                    entries += self._extended(reference, kind, owner)
            self._change(place, kind, entries)
        else:
            entries = self._plain(place, kind)
        if not entries and len(self.faults) == before:
            self.faults.append(place.fault("this list is empty; an empty list does not exist"))
        return tuple(entries)

    def _extended(self, reference: Place, kind: str, owner: Definition | None) -> Entries:
        name = reference.value
        if owner is not None and isinstance(name, str) and _same_name(name, owner.name):
            if owner.below is None:
                text = f"{name!r} extends itself; nothing of that name is included"
                self.faults.append(reference.fault(text))
                return ()
            return self._list(owner.below)
        definition = self._definition(reference, kind)
        return self._list(definition) if definition is not None else ()

    def _change(self, place: Place, kind: str, entries: list[Entry]) -> set[str]:
        """Apply remove, override, add_first and add to inherited entries; returns what went."""
        removed: set[str] = set()
        if "remove" in place.value:
            for item in (place / "remove").items():
                uid = read_uid(item, self.faults)
                if uid is None:
                    continue
                if not any(key_of(entry) == uid for entry in entries):
                    self.faults.append(item.fault(f"{described(uid)} is not in what is inherited"))
                removed.add(uid)
            entries[:] = [entry for entry in entries if key_of(entry) not in removed]
        if "override" in place.value:
            self._override(place / "override", kind, entries)
        for key in ("add_first", "add"):
            if key not in place.value:
                continue
            added = self._plain(place / key, kind)
            present = {key_of(entry) for entry in entries}
            for entry in added:
                if key_of(entry) in present and kind != "presentation_contexts":
                    text = f"{described(key_of(entry))} is there already"
                    hint = "remove it first" if kind == "transfer_syntaxes" else "use override"
                    self.faults.append((place / key).fault(f"{text}; {hint}"))
            entries[:] = [*added, *entries] if key == "add_first" else [*entries, *added]
        return removed

    def _override(self, place: Place, kind: str, entries: list[Entry]) -> None:
        if kind == "transfer_syntaxes":
            text = "transfer syntaxes have nothing to override; use remove and add"
            self.faults.append(place.fault(text, at_key=True))
            return
        replaced: dict[str, list[Entry]] = {}
        for entry in self._plain(place, kind):
            replaced.setdefault(key_of(entry), []).append(entry)
        for uid, news in replaced.items():
            at = [index for index, entry in enumerate(entries) if key_of(entry) == uid]
            if not at:
                text = f"{described(uid)} is not in what is inherited; use add"
                self.faults.append(place.fault(text))
                continue
            kept_after = [entry for entry in entries[at[0] :] if key_of(entry) != uid]
            entries[:] = [*entries[: at[0]], *news, *kept_after]

    def _plain(self, place: Place, kind: str) -> list[Entry]:
        match kind:
            case "transfer_syntaxes":
                return list(read_uids(place, self.faults))
            case "presentation_contexts":
                return [entry for item in place.items() for entry in self._contexts(item)]
            case "role_selection":
                return list(read_roles(place, self.faults))
            case _:
                return list(read_extended_negotiation(place, self.faults))

    def _contexts(self, item: Place) -> list[Entry]:
        """``SOPCLASS: SYNTAXES`` pairs, or a group of classes with the same syntaxes."""
        if not isinstance(item.value, dict):
            text = "a presentation context is written 'SOPCLASS: TRANSFER SYNTAX LIST'"
            self.faults.append(item.fault(text))
            return []
        if not set(GROUP_KEYS).isdisjoint(item.value):
            if set(item.value) != set(GROUP_KEYS):
                text = "a group of contexts has the keys sop_classes and transfer_syntaxes"
                self.faults.append(item.fault(text))
                return []
            syntaxes = self._syntaxes_of(item / "transfer_syntaxes")
            classes = item / "sop_classes"
            return [
                ListedContext(uid, syntaxes, self._line(place))
                for place in classes.items()
                if (uid := read_uid(place, self.faults)) is not None
            ]
        entries: list[Entry] = []
        for key in item.value:
            uid = read_uid(Place(item.document, (*item.path, key), key, is_key=True), self.faults)
            syntaxes = self._syntaxes_of(item / key)
            entries.append(ListedContext(uid or "", syntaxes, self._line(item / key)))
        return entries

    def _syntaxes_of(self, place: Place) -> str:
        """The name of a transfer syntax list, given by name or in place."""
        if isinstance(place.value, str):
            definition = self._definition(place, "transfer_syntaxes")
            return definition.name if definition is not None else ""
        entries = tuple(key_of(entry) for entry in self._value(place, "transfer_syntaxes", None))
        for name, known in self.found.transfer_syntaxes.items():
            if known == entries:
                return name
        name = self._free_name("transfer_syntaxes", "Syntaxes")
        self.found.transfer_syntaxes[name] = entries
        return name

    def _profile(self, definition: Definition) -> ProfileEntry:
        if id(definition) in self._profiles:
            return self._profiles[id(definition)]
        if definition in self._running:
            self._report(definition, f"profile {definition.name!r} extends itself, by a circle")
            return ProfileEntry("")
        self._running.append(definition)
        if definition.document is None:
            entry = self._ready_profile(definition)
        else:
            place = Place(definition.document, definition.path, definition.value)
            entry = self._written_profile(place, definition)
        self._running.pop()
        self._profiles[id(definition)] = entry
        return entry

    def _ready_profile(self, definition: Definition) -> ProfileEntry:
        assert definition.ready is not None
        ready = definition.ready.profiles[definition.name]
        return ProfileEntry(
            self.definitions["presentation_contexts"][reference_name(ready.contexts)].name,
            self._ready_name("role_selection", ready.roles),
            self._ready_name("extended_negotiation", ready.extended_negotiation),
        )

    def _ready_name(self, kind: str, name: str) -> str:
        return self.definitions[kind][reference_name(name)].name if name else ""

    def _written_profile(self, place: Place, definition: Definition) -> ProfileEntry:
        if not isinstance(place.value, dict):
            self.faults.append(place.fault("a profile is a mapping with presentation_contexts"))
            return ProfileEntry("")
        before = len(self.faults)
        self._check_keys(place, PROFILE_KEYS)
        inherited = ProfileEntry("")
        if "extends" in place.value:
            inherited = self._extended_profile(place / "extends", definition)
        names = {
            "presentation_contexts": inherited.contexts,
            "role_selection": inherited.roles,
            "extended_negotiation": inherited.extended_negotiation,
        }
        for kind in names:
            if kind in place.value:
                names[kind] = self._list_name(place / kind, kind, definition.name)
        if names["presentation_contexts"] and not set(LIST_KEYS[1:]).isdisjoint(place.value):
            self._change_profile(place, names, definition.name)
            if not names["presentation_contexts"]:
                text = f"nothing is left of what profile {definition.name!r} inherits"
                self.faults.append(place.fault(text, at_key=True))
        if not names["presentation_contexts"]:
            has_own = "presentation_contexts" in place.value
            if len(self.faults) == before and (has_own or "extends" not in place.value):
                text = f"profile {definition.name!r} has no presentation_contexts"
                self.faults.append(place.fault(text, at_key=True))
            return ProfileEntry("")
        entry = ProfileEntry(
            names["presentation_contexts"],
            names["role_selection"],
            names["extended_negotiation"],
            self._line(place),
        )
        self._check_strangers(place, entry)
        return entry

    def _extended_profile(self, reference: Place, owner: Definition) -> ProfileEntry:
        same = isinstance(reference.value, str) and _same_name(reference.value, owner.name)
        definition = owner.below if same else self._definition(reference, "profiles")
        if definition is None:
            if same:
                text = f"profile {owner.name!r} extends itself; nothing of that name is included"
                self.faults.append(reference.fault(text))
            return ProfileEntry("")
        return self._profile(definition)

    def _list_name(self, place: Place, kind: str, profile: str) -> str:
        """The name of the list that a profile refers to or holds; "" for ``null``: none."""
        if place.value is None:
            return ""
        if isinstance(place.value, str):
            definition = self._definition(place, kind)
            return definition.name if definition is not None else ""
        return self._keep(kind, profile, self._value(place, kind, None))

    def _change_profile(self, place: Place, names: dict[str, str], profile: str) -> None:
        """Changes that a profile makes to its contexts; roles and extended negotiation of SOP
        classes that go, go too."""
        contexts: list[Entry] = list(self.found.contexts.get(names["presentation_contexts"], ()))
        removed = self._change(place, "presentation_contexts", contexts)
        names["presentation_contexts"] = self._keep(
            "presentation_contexts", profile, tuple(contexts)
        )
        roles = self.found.roles.get(names["role_selection"], {})
        if not removed.isdisjoint(roles):
            kept_roles = tuple(item for item in roles.items() if item[0] not in removed)
            names["role_selection"] = self._keep("role_selection", profile, kept_roles)
        items = self.found.extended_negotiation.get(names["extended_negotiation"], {})
        if not removed.isdisjoint(items):
            kept_items = tuple(item for item in items.items() if item[0] not in removed)
            names["extended_negotiation"] = self._keep("extended_negotiation", profile, kept_items)

    def _check_strangers(self, place: Place, entry: ProfileEntry) -> None:
        contexts = self.found.contexts.get(entry.contexts, ())
        known = {context.abstract_syntax for context in contexts}
        if "" in known or not known:
            return
        for name, mentioned in (
            (entry.roles, list(self.found.roles.get(entry.roles, {}))),
            (
                entry.extended_negotiation,
                list(self.found.extended_negotiation.get(entry.extended_negotiation, {})),
            ),
        ):
            for uid in mentioned:
                if uid not in known:
                    text = (
                        f"list {name!r} mentions {described(uid)}, which presentation context "
                        f"list {entry.contexts!r} does not have"
                    )
                    self.faults.append(place.fault(text, at_key=True))

    def _keep(self, kind: str, wanted: str, entries: Entries) -> str:
        """Store a list that has no name of its own; returns the name it gets, "" if empty."""
        if not entries:
            return ""
        name = self._free_name(kind, wanted)
        self._store(kind, name, entries)
        return name

    def _free_name(self, kind: str, wanted: str) -> str:
        taken = [definition.name for definition in self.definitions[kind].values()]
        taken += {
            "transfer_syntaxes": list(self.found.transfer_syntaxes),
            "presentation_contexts": list(self.found.contexts),
            "role_selection": list(self.found.roles),
            "extended_negotiation": list(self.found.extended_negotiation),
        }[kind]
        number = 1
        name = wanted
        while spelling_of(name, taken) is not None:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def _definition(self, reference: Place, kind: str) -> Definition | None:
        name = reference.value
        if not isinstance(name, str):
            self.faults.append(reference.fault(f"the name of one of {kind} belongs here"))
            return None
        definition = self.definitions[kind].get(reference_name(name))
        if definition is None:
            known = [one.name for one in self.definitions[kind].values()]
            hint = did_you_mean(name, known)
            if kind == "transfer_syntaxes" and not hint.startswith("; did"):
                hint += f"; a single transfer syntax is written [{name}]"
            self.faults.append(reference.fault(f"no {name!r} in {kind}{hint}"))
        return definition

    def _check_keys(self, place: Place, known: tuple[str, ...]) -> None:
        for key in place.value:
            if key not in known:
                text = f"unknown key {key!r}{did_you_mean(key, known)}"
                self.faults.append((place / key).fault(text, at_key=True))

    def _line(self, place: Place) -> int:
        """The line of what stands in the file itself; 0 for what is included."""
        return place.line if place.document.file == self.found.file else 0

    def _report(self, definition: Definition, text: str) -> None:
        assert definition.document is not None
        self.faults.append(definition.document.fault(definition.path, text, at_key=True))


def _same_name(one: str, other: str) -> bool:
    return reference_name(one) == reference_name(other)
