"""Old settings x new settings -> what changes. Values in, values out: nothing is touched here.

``changes`` names every key that differs, with secrets and patients masked; ``plan`` says what that
does to listeners, callers and retrievals. ``dicomd reload --dry-run`` shows the same plan that a
reload carries out.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from dicomd.errors import ConfigError, Fault
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.listener import ListenerSettings

MASK = "***"
_URL_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@\s]*@")
_LONG = 200
_QUERY_KEY = re.compile(r"retrievals\.[^.]+\.(?:find\.)?keys\.(\w+)")
_HARMLESS = re.compile(
    r".*UID|QueryRetrieveLevel|Modality|ModalitiesInStudy|(Study|Series)(Date|Time)"
)
"""Keys of a query whose values name no patient: the log may show them."""
NEEDS_RESTART = ("state_directory", "user", "group")
"""Keys that are settled for a process's life."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs. None on a side: the key isn't there on that side."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.old is None:
            return f"{self.key} added: {self.new}"
        if self.new is None:
            return f"{self.key} removed (was {self.old})"
        return f"{self.key}: {self.old} -> {self.new}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadPlan:
    """What a reload would do."""

    changes: tuple[Change, ...]
    opened: tuple[str, ...]
    """Listeners that are new."""
    closed: tuple[str, ...]
    """Listeners that go; what runs on them goes on to its end."""
    replaced: tuple[str, ...]
    """Listeners that get a new generation of workers."""
    kept: tuple[str, ...]
    """Listeners whose workers aren't touched."""
    callers: tuple[str, ...]
    """Who may call that might not, or might call that may not, in words."""
    jobs_added: tuple[str, ...]
    jobs_removed: tuple[str, ...]
    jobs_changed: tuple[str, ...]
    requestor: bool
    """Whether retrievals get a new process."""
    indexer: bool
    metrics: bool
    logging: bool
    control: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "changes": [
                {"key": change.key, "old": change.old, "new": change.new} for change in self.changes
            ],
            "listeners": {
                "opened": list(self.opened),
                "closed": list(self.closed),
                "replaced": list(self.replaced),
                "kept": list(self.kept),
            },
            "callers": list(self.callers),
            "jobs": {
                "added": list(self.jobs_added),
                "removed": list(self.jobs_removed),
                "changed": list(self.jobs_changed),
            },
        }


def plan(
    old: DaemonSettings, new: DaemonSettings, *, replaced: Sequence[str] | None = None
) -> ReloadPlan:
    """What changes from old to new. ``replaced`` names the listeners whose workers differ in what
    they are born with; without it the settings alone decide. ConfigError when a change cannot be
    made while the service runs."""
    _refuse_what_needs_a_restart(old, new)
    both = [name for name in new.listeners if name in old.listeners]
    if replaced is None:
        replaced = [
            name
            for name in both
            if old.listeners[name] != new.listeners[name]
            or old.stores != new.stores
            or old.logging != new.logging
        ]
    jobs_old, jobs_new = old.retrievals, new.retrievals
    return ReloadPlan(
        changes=tuple(changes(old, new)),
        opened=tuple(name for name in new.listeners if name not in old.listeners),
        closed=tuple(name for name in old.listeners if name not in new.listeners),
        replaced=tuple(replaced),
        kept=tuple(name for name in both if name not in replaced),
        callers=tuple(
            line
            for name in both
            for line in _callers(name, old.listeners[name], new.listeners[name])
        ),
        jobs_added=tuple(name for name in jobs_new if name not in jobs_old),
        jobs_removed=tuple(name for name in jobs_old if name not in jobs_new),
        jobs_changed=tuple(
            name for name in jobs_new if name in jobs_old and jobs_new[name] != jobs_old[name]
        ),
        requestor=requestor_slice(old) != requestor_slice(new),
        indexer=(old.index, old.stores, old.logging) != (new.index, new.stores, new.logging),
        metrics=(old.metrics, old.logging) != (new.metrics, new.logging),
        logging=old.logging != new.logging,
        control=old.control_socket != new.control_socket,
    )


def requestor_slice(settings: DaemonSettings) -> Any:
    """What the requestor is born with; None when it has nothing to do."""
    if not settings.retrievals:
        return None
    return (
        settings.retrievals,
        settings.remotes,
        settings.jobs,
        settings.stores,
        settings.logging,
        {name: (item.ae_title, item.store) for name, item in settings.listeners.items()},
    )


def changes(old: Any, new: Any) -> list[Change]:
    """Every key that differs between two settings trees, by dotted name, secrets masked, and so
    are values of queries that may name a patient."""
    before, after = flatten(old), flatten(new)
    found = []
    for key in {**before, **after}:
        left, right = before.get(key), after.get(key)
        if left != right:
            secret = _is_secret(key) or _may_name_a_patient(key)
            found.append(
                Change(
                    key,
                    None if left is None else MASK if secret else _shown(left),
                    None if right is None else MASK if secret else _shown(right),
                )
            )
    return sorted(found, key=lambda change: change.key)


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> value. A resolved profile counts as one value: its file is what was edited."""
    if is_dataclass(tree) and not isinstance(tree, type):
        flat: dict[str, Any] = {}
        for item in fields(tree):
            value = getattr(tree, item.name)
            key = f"{prefix}{item.name.rstrip('_')}"
            if item.name == "negotiation":
                flat[key.replace("negotiation", "profile.content")] = _Content(value)
            else:
                flat.update(_flat_value(value, key))
        return flat
    return _flat_value(tree, prefix.rstrip("."))


@dataclass(frozen=True, slots=True)
class _Content:
    """A value that is compared whole and never shown."""

    value: Any


def _flat_value(value: Any, key: str) -> dict[str, Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return flatten(value, f"{key}.")
    if isinstance(value, Mapping):
        flat: dict[str, Any] = {}
        for name, item in value.items():
            flat.update(_flat_value(item, f"{key}.{name}"))
        return flat
    return {} if value is None else {key: value}


def _is_secret(key: str) -> bool:
    last = key.rpartition(".")[2]
    return "password" in last and not last.endswith("file")


def _may_name_a_patient(key: str) -> bool:
    query = _QUERY_KEY.fullmatch(key)
    return query is not None and not _HARMLESS.fullmatch(query[1])


def _shown(value: Any) -> Any:
    if isinstance(value, _Content):
        return "changed" if value.value is not None else "default"
    if isinstance(value, tuple):
        text = ", ".join(str(item) for item in value)
        return f"[{text}]" if len(text) <= _LONG else f"[{len(value)} entries]"
    if isinstance(value, str):
        return _URL_PASSWORD.sub(rf"\1:{MASK}@", value)[:_LONG]
    return value if isinstance(value, (bool, int, float)) else str(value)[:_LONG]


def _refuse_what_needs_a_restart(old: DaemonSettings, new: DaemonSettings) -> None:
    faults = [
        Fault("", 0, 0, f"{key} cannot change while the daemon runs; restart it instead")
        for key in NEEDS_RESTART
        if getattr(old, key) != getattr(new, key)
    ]
    if faults:
        raise ConfigError(faults)


def _callers(name: str, old: ListenerSettings, new: ListenerSettings) -> list[str]:
    lines: list[str] = []
    for label, before, after in (
        ("calling AE titles", old.access.calling_ae_titles, new.access.calling_ae_titles),
        ("called AE titles", old.access.called_ae_titles, new.access.called_ae_titles),
        ("hosts", old.access.hosts, new.access.hosts),
    ):
        if set(before) == set(after):
            continue
        if not after:
            lines.append(f"{name}: any {label} now (were {', '.join(before)})")
        elif not before:
            lines.append(f"{name}: only {label} {', '.join(after)} now (were any)")
        else:
            gone = [item for item in before if item not in after]
            come = [item for item in after if item not in before]
            if come:
                lines.append(f"{name}: {label} allowed now: {', '.join(come)}")
            if gone:
                lines.append(f"{name}: {label} refused now: {', '.join(gone)}")
    if (old.address, old.port, old.socket) != (new.address, new.port, new.socket):
        lines.append(f"{name}: callers must use the new address")
    if bool(old.tls) != bool(new.tls):
        lines.append(f"{name}: callers must {'use' if new.tls else 'not use'} TLS")
    elif old.tls != new.tls:
        lines.append(f"{name}: TLS differs for callers")
    if old.negotiation != new.negotiation:
        lines.append(f"{name}: the association profile differs; `dicomd profile diff` shows how")
    if old.ae_title != new.ae_title:
        lines.append(f"{name}: AE title {new.ae_title} instead of {old.ae_title}")
    return lines
