"""What the settings mean together: references, files they name, and what can never work.

Types and bounds are right when this begins. It fills in what is derived (a listener's profile and
only store, hosts' addresses, a log configuration file) and finds every fault that is left.
"""

import difflib
import grp
import ipaddress
import logging.handlers
import os
import pwd
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import replace

from dicomd.config.build import Tree
from dicomd.config.profiles.load import default_profile, is_yaml, load_profile, read_profile_text
from dicomd.config.schedules import check_cron, check_time, check_timezone
from dicomd.config.tls import check_tls
from dicomd.config.yaml_source import Path
from dicomd.errors import ConfigError, Fault
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.listener import ListenerSettings, ProfileReference
from dicomd.settings.log import LogSettings
from dicomd.settings.profile import AssociationProfile
from dicomd.settings.retrieval import RetrievalSettings
from dicomd.settings.storage import StoreSettings

_SUBDIRECTORIES = ("none", "series-date")
_FILENAMES = ("default", "unique", "short-unique", "system-time")
_WILDCARDS = ("", "0.0.0.0", "::")
_FACILITIES = logging.handlers.SysLogHandler.facility_names


CheckTemplate = Callable[[str, bool], object]
"""Checks a naming template; the second argument says whether it may name folders. Raises
ValueError. What a template may hold is ``storage``'s matter, which is not known here."""


class _Findings:
    """Faults and warnings with their places. Mutable: both lists grow."""

    def __init__(self, tree: Tree, check_template: CheckTemplate) -> None:
        self.tree = tree
        self.check_template = check_template
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []

    def fault(self, path: Path, text: str, *, key: bool = False) -> None:
        self.faults.append(self.tree.fault(path, text, key=key))

    def warn(self, path: Path, text: str, *, key: bool = False) -> None:
        self.warnings.append(self.tree.fault(path, text, key=key))

    def check(self, path: Path, check: Callable[[], object]) -> None:
        """Run a check that raises ValueError, or ConfigError when it has its own places."""
        try:
            check()
        except ConfigError as error:
            self.faults += error.faults
        except ValueError as error:
            self.fault(path, str(error))


def resolve(
    settings: DaemonSettings, tree: Tree, check_template: CheckTemplate
) -> tuple[DaemonSettings, list[Fault]]:
    """The settings made whole, and warnings. Raises ConfigError with every fault."""
    found = _Findings(tree, check_template)
    if not settings.listeners and not settings.retrievals:
        found.fault((), "nothing to do: name at least one listener under `listeners:`")
    _check_user(settings, found)
    for name, store in settings.stores.items():
        _check_store(name, store, found)
    _check_one_each(
        (("stores", name), os.path.realpath(store.directory), "directory")
        for name, store in settings.stores.items()
        if store.directory
    )(found)
    listeners = {
        name: _listener(name, listener, settings, found)
        for name, listener in settings.listeners.items()
    }
    _check_addresses(settings, found)
    for name, remote in settings.remotes.items():
        path: Path = ("remotes", name)
        _check_ae_title((*path, "ae_title"), remote.ae_title, found)
        _check_ae_title((*path, "calling_ae_title"), remote.calling_ae_title, found)
        if remote.tls is not None:
            tls = remote.tls
            found.faults += check_tls(tls, (*path, "tls"), tree, server=False)
    for name, retrieval in settings.retrievals.items():
        _check_retrieval(name, retrieval, settings, found)
    _check_jobs(settings, found)
    log = _logging(settings.logging, found)
    if found.faults:
        raise ConfigError(sorted(set(found.faults)))
    control_socket = settings.control_socket
    if not control_socket and settings.state_directory:
        control_socket = os.path.join(settings.state_directory, "control.sock")
    whole = replace(settings, listeners=listeners, logging=log, control_socket=control_socket)
    return whole, sorted(found.warnings)


def _check_user(settings: DaemonSettings, found: _Findings) -> None:
    if settings.user:
        try:
            pwd.getpwnam(settings.user)
        except KeyError:
            found.fault(("user",), f"no user {settings.user!r} on this system")
    if settings.group:
        try:
            grp.getgrnam(settings.group)
        except KeyError:
            found.fault(("group",), f"no group {settings.group!r} on this system")
        if not settings.user:
            found.fault(("group",), "`group` does nothing without `user`")


def _check_store(name: str, store: StoreSettings, found: _Findings) -> None:
    path: Path = ("stores", name)
    if store.mode == "ignore":
        return
    if not store.directory:
        text = f"store {name!r} has no `directory`; only one with `mode: ignore` needs none"
        found.fault(path, text, key=True)
    elif not os.path.isdir(store.directory) and not store.create_directory:
        text = f"{store.directory} does not exist; objects are refused until it does"
        found.warn((*path, "directory"), text)
    if store.subdirectories not in _SUBDIRECTORIES:
        _check_template(
            (*path, "subdirectories"), store.subdirectories, _SUBDIRECTORIES, found, folders=True
        )
    if store.filenames not in _FILENAMES:
        _check_template((*path, "filenames"), store.filenames, _FILENAMES, found, folders=False)
    if "/" in store.extension or "\0" in store.extension:
        found.fault((*path, "extension"), "an extension holds no /")


def _check_template(
    path: Path, text: str, words: tuple[str, ...], found: _Findings, *, folders: bool
) -> None:
    if "{" not in text:
        close = difflib.get_close_matches(text, words, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(words)}, or"
        what = "" if close else " a template with {Keyword} in it"
        found.fault(path, f"{text!r} is not known; {hint}{what}")
        return
    found.check(path, lambda: found.check_template(text, folders))


def _check_one_each(
    entries: Iterable[tuple[Path, str, str]],
) -> Callable[[_Findings], None]:
    """No two entries may have the same value under a key."""

    def check(found: _Findings) -> None:
        seen: dict[str, Path] = {}
        for path, value, key in entries:
            if value in seen:
                text = f"{'.'.join(map(str, seen[value]))} has the same {key}"
                found.fault((*path, key), text)
            seen.setdefault(value, path)

    return check


def _listener(
    name: str, listener: ListenerSettings, settings: DaemonSettings, found: _Findings
) -> ListenerSettings:
    path: Path = ("listeners", name)
    store = listener.store
    if not store and len(settings.stores) == 1:
        store = next(iter(settings.stores))
    elif not store:
        text = f"listener {name!r} names no `store`; there are {_names(settings.stores)}"
        found.fault(path, text, key=True)
    elif store not in settings.stores:
        found.fault((*path, "store"), _dangling("store", store, settings.stores))
    _check_ae_title((*path, "ae_title"), listener.ae_title, found)
    for key, titles in (
        ("calling_ae_titles", listener.access.calling_ae_titles),
        ("called_ae_titles", listener.access.called_ae_titles),
    ):
        for position, title in enumerate(titles):
            _check_ae_title((*path, "access", key, position), title, found)
    hosts = tuple(
        address
        for position, host in enumerate(listener.access.hosts)
        for address in _addresses(host, (*path, "access", "hosts", position), found)
    )
    if listener.socket and (*path, "port") in found.tree.marks:
        found.fault((*path, "port"), "a listener has `port` or `socket`, not both")
    wants_certificates = listener.tls is not None and listener.tls.client_certificate != "none"
    if listener.access.certificates and not wants_certificates:
        text = "`certificates` lets nobody in without `tls:` that asks callers for theirs"
        found.fault((*path, "access", "certificates"), text, key=True)
    if listener.tls is not None:
        found.faults += check_tls(listener.tls, (*path, "tls"), found.tree, server=True)
    negotiation = listener.negotiation
    if listener.profile is None:
        negotiation = default_profile()
    else:
        negotiation = _profile(listener.profile, (*path, "profile"), found)
    access = replace(listener.access, hosts=hosts)
    return replace(listener, store=store, negotiation=negotiation, access=access)


def _profile(
    reference: ProfileReference, path: Path, found: _Findings
) -> AssociationProfile | None:
    place = found.tree.place((*path, "file"))
    try:
        text = read_profile_text(reference.file)
        if not is_yaml(text):
            from dicomd.config.profiles.check import check_asconfig

            found.warnings += check_asconfig(text, reference.file)
        return load_profile(reference.file, reference.name)
    except ConfigError as error:
        # A fault without a line of its own is one of the reference: no such file, no such name.
        found.faults += [
            fault if fault.line else Fault(*place, f"profile {fault}") for fault in error.faults
        ]
        return None


def _addresses(host: str, path: Path, found: _Findings) -> tuple[str, ...]:
    """A network, an address, or a name's addresses as of now."""
    try:
        return (str(ipaddress.ip_network(host, strict=False)),)
    except ValueError:
        pass
    if "/" in host or not host or all(part.isdigit() for part in host.split(".")):
        text = f"{host!r} is no network, address or host name; write 192.0.2.0/24"
        found.fault(path, text)
        return ()
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "not a host name"
        found.fault(path, f"host name {host!r} has no address: {reason}")
        return ()
    addresses = {str(answer[4][0]).partition("%")[0] for answer in answers}
    return tuple(str(ipaddress.ip_network(address)) for address in sorted(addresses))


def _check_address(path: Path, address: str, found: _Findings) -> None:
    """What looks like an address must be one; a host name is looked up when it is bound."""
    if ":" in address or re.fullmatch(r"[0-9.]+", address):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            text = f"{address!r} is no address; write 0.0.0.0, 127.0.0.1 or ::1"
            found.fault(path, text)


def _check_addresses(settings: DaemonSettings, found: _Findings) -> None:
    """No two listeners may want one port of one address, or one socket of systemd's."""
    if settings.metrics is not None:
        _check_address(("metrics", "address"), settings.metrics.address, found)
    seen: list[tuple[str, ListenerSettings]] = []
    for name, listener in settings.listeners.items():
        _check_address(("listeners", name, "address"), listener.address, found)
        for other_name, other in seen:
            path: Path = ("listeners", name)
            if listener.socket and listener.socket == other.socket:
                text = f"listener {other_name!r} has the same socket"
                found.fault((*path, "socket"), text)
            same_port = listener.port == other.port != 0
            if listener.socket or other.socket or not same_port:
                continue
            if _overlap(listener.address, other.address):
                text = f"listener {other_name!r} has port {listener.port} of the same address"
                found.fault((*path, "port"), text)
        seen.append((name, listener))


def _overlap(one: str, other: str) -> bool:
    """Whether two addresses cannot both be bound with the same port."""
    if one == other:
        return True
    wildcard = one in _WILDCARDS or other in _WILDCARDS
    return wildcard and not _families(one).isdisjoint(_families(other))


def _families(address: str) -> set[int]:
    if address in ("", "::"):
        return {4, 6}
    return {6} if ":" in address else {4}


def _check_ae_title(path: Path, title: str, found: _Findings) -> None:
    """PS3.5 6.2, AE: at most 16 characters, no backslash, no control characters, not blank."""
    if not title.strip(" "):
        found.fault(path, "an AE title is not empty")
    elif len(title.strip(" ")) > 16:
        found.fault(path, f"AE title {title!r} has more than 16 characters (PS3.5 6.2)")
    elif not title.isascii() or not title.isprintable() or "\\" in title:
        found.fault(path, f"AE title {title!r} has characters that PS3.5 6.2 does not allow")


def _check_retrieval(
    name: str, retrieval: RetrievalSettings, settings: DaemonSettings, found: _Findings
) -> None:
    path: Path = ("retrievals", name)
    if retrieval.remote not in settings.remotes:
        text = _dangling("remote", retrieval.remote, settings.remotes)
        found.fault((*path, "remote"), text)
    if retrieval.destination not in settings.listeners:
        _check_ae_title((*path, "destination"), retrieval.destination, found)
        close = difflib.get_close_matches(retrieval.destination, settings.listeners, n=1)
        if close:
            text = (
                f"{retrieval.destination!r} is none of our listeners, so it is taken as a third "
                f"party's AE title; was {close[0]!r} meant?"
            )
            found.warn((*path, "destination"), text)
    given = [
        key
        for key, value in (
            ("find", retrieval.find),
            ("list", retrieval.list),
            ("keys", retrieval.keys),
        )
        if value
    ]
    if len(given) != 1:
        what = " and ".join(given) if given else "nothing that says what to fetch"
        text = f"retrieval {name!r} has {what}; it needs one of `find`, `list` and `keys`"
        found.fault(path, text, key=True)
    # The dictionary of data elements is large: only who retrieves pays for it.
    from dicomd.config.queries import faulty_keys

    if retrieval.find is not None:
        for key, text in faulty_keys(retrieval.find.keys, dates=True):
            found.fault((*path, "find", "keys", key), text)
    for key, text in faulty_keys(retrieval.keys, dates=False):
        found.fault((*path, "keys", key), text)
    if retrieval.list and not os.access(retrieval.list, os.R_OK):
        found.fault((*path, "list"), f"{retrieval.list} cannot be read")
    if retrieval.schedule:
        found.check((*path, "schedule"), lambda: check_cron(retrieval.schedule))
        if retrieval.every is not None:
            found.fault((*path, "every"), "a retrieval has `schedule` or `every`, not both")
    if retrieval.every is not None and retrieval.every < 1:
        found.fault((*path, "every"), "the shortest interval is 1s")
    found.check((*path, "timezone"), lambda: check_timezone(retrieval.timezone))
    window = retrieval.window
    if window is not None:
        found.check((*path, "window", "from"), lambda: check_time(window.from_))
        found.check((*path, "window", "to"), lambda: check_time(window.to))


def _check_jobs(settings: DaemonSettings, found: _Findings) -> None:
    database = settings.jobs.database
    if database == "sqlite":
        if settings.retrievals and not settings.state_directory:
            text = "retrievals need `state_directory`: their jobs are kept there"
            found.fault(("retrievals",), text, key=True)
    elif not database.startswith(("postgresql://", "postgres://")):
        text = "expected sqlite, or a postgresql:// URL"
        found.fault(("jobs", "database"), text)
    file = settings.jobs.password_file
    if file and not os.access(file, os.R_OK):
        found.fault(("jobs", "password_file"), f"{file} cannot be read")


def _logging(log: LogSettings, found: _Findings) -> LogSettings:
    path: Path = ("logging",)
    if log.syslog is not None and log.syslog.facility not in _FACILITIES:
        known = ", ".join(sorted(_FACILITIES))
        text = f"no syslog facility {log.syslog.facility!r}; known are {known}"
        found.fault((*path, "syslog", "facility"), text)
    if not log.config:
        return log
    for key in ("level", "format", "stderr", "file", "syslog", "journal", "levels"):
        if (*path, key) in found.tree.marks:
            text = f"`{key}` does nothing beside `config`, which replaces it"
            found.warn((*path, key), text, key=True)
    from dicomd.config.oflog import read_oflog

    try:
        dcmtk, warnings = read_oflog(log.config, application="dicomd")
    except ConfigError as error:
        place = found.tree.place((*path, "config"))
        found.faults += [
            fault if fault.line else Fault(*place, str(fault)) for fault in error.faults
        ]
        return log
    found.warnings += warnings
    return replace(log, dcmtk=dcmtk)


def _names(known: Iterable[str]) -> str:
    return ", ".join(sorted(known)) or "none"


def _dangling(kind: str, name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {_names(known)}"
    return f"no {kind} {name!r}; {hint}"
