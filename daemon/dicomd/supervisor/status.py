"""What `dicomd status`, /metrics and the log's snapshot say: one dictionary, built from values.

The shape is a promise to those who read ``dicomd status --json``; keys are only ever added.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dicomd
from dicomd.errors import Fault
from dicomd.supervisor.children import Child
from dicomd.supervisor.figures import Ledger, Rate
from dicomd.supervisor.service import METRICS, Service
from dicomd.supervisor.stores import used_stores

LIBRARIES = ("pynetdicom", "pydicom", "dbos", "structlog", "pydantic", "prometheus-client")


@dataclass(kw_only=True)
class LastReload:
    """How the last reload ended. Mutable only by being replaced."""

    result: str
    """applied, unchanged or rejected."""
    at: float
    seconds: float
    faults: Sequence[Fault] = ()
    changes: Sequence[Mapping[str, Any]] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "result": self.result,
            "time": rfc3339(self.at),
            "time_unix": self.at,
            "seconds": round(self.seconds, 4),
            "faults": [
                {"file": item.file, "line": item.line, "column": item.column, "text": item.text}
                for item in self.faults
            ],
            "changes": list(self.changes),
        }


@dataclass(kw_only=True)
class Record:
    """What the supervisor remembers for its status. Mutable."""

    started: float = field(default_factory=time.time)
    started_monotonic: float = field(default_factory=time.monotonic)
    ledger: Ledger = field(default_factory=Ledger)
    objects: Rate = field(default_factory=Rate)
    bytes: Rate = field(default_factory=Rate)
    last_reload: LastReload | None = None
    reloads: dict[str, int] = field(default_factory=dict)
    worker_exits: dict[str, int] = field(default_factory=dict)


def rfc3339(moment: float) -> str:
    """Seconds since the epoch as ``2026-01-02T03:04:05.678Z``."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def build(
    *,
    phase: str,
    pid: int,
    service: Service,
    children: Sequence[Child],
    record: Record,
    log: Mapping[str, Any],
    answers: Mapping[int, Any],
) -> dict[str, Any]:
    """The whole status. ``answers`` are the children's own snapshots by pid."""
    now = time.monotonic()
    listeners = {
        name: _listener(name, service, children, record) for name in service.settings.listeners
    }
    workers = [_worker(child, now) for child in children]
    healthy = all(item["serving"] for item in listeners.values())
    indexer = [child for child in children if child.role.kind == "indexer"]
    requestor = sorted(
        (child for child in children if child.role.kind in ("requestor", "once")),
        key=lambda child: -child.role.generation,
    )
    return {
        "version": dicomd.__version__,
        "pid": pid,
        "state": phase,
        "ready": phase in ("running", "reloading"),
        "healthy": healthy and phase != "starting",
        "started": rfc3339(record.started),
        "started_unix": record.started,
        "uptime_seconds": round(now - record.started_monotonic, 1),
        "generation": service.generation,
        "listeners": listeners,
        "workers": workers,
        "worker_exits": dict(record.worker_exits),
        "associations": _associations(children, answers),
        "throughput": {
            "objects_per_second": round(record.objects.per_second, 2),
            "bytes_per_second": round(record.bytes.per_second),
            "objects": sum(item["counters"].get("objects", 0) for item in listeners.values()),
            "bytes": sum(item["counters"].get("bytes", 0) for item in listeners.values()),
        },
        "stores": {
            name: {"directory": store.directory, "min_free_bytes": store.min_free_space}
            for name, store in service.settings.stores.items()
            if store in used_stores(service.settings)
        },
        "index": dict(indexer[0].counters) if indexer else None,
        "requestor": {"counters": dict(requestor[0].counters)} if requestor else None,
        "jobs": _jobs(service, requestor, answers),
        "metrics": service.addresses(METRICS),
        "reload": record.last_reload.as_dict() if record.last_reload else None,
        "reloads": dict(record.reloads),
        "log": {"dropped": log.get("dropped", 0), "failing": log.get("failing", {})},
        "versions": versions(),
    }


def line(status: Mapping[str, Any]) -> str:
    """One line with live figures, for systemd's STATUS=."""
    live = sum(item["associations"] for item in status["listeners"].values())
    throughput = status["throughput"]
    text = (
        f"{len(status['listeners'])} listeners, {len(status['workers'])} processes;"
        f" {live} associations, {throughput['objects']} objects,"
        f" {throughput['objects_per_second']:.1f} objects/s"
    )
    if not status["healthy"]:
        text += "; a listener has no worker"
    reload = status["reload"]
    if reload and reload["result"] == "rejected":
        first = reload["faults"][0] if reload["faults"] else None
        place = ":".join(str(first[key]) for key in ("file", "line") if first[key]) if first else ""
        what = f": {place}: {first['text']}" if first else ""
        text += f"; reload refused at {reload['time']}{what}"
    return text


_versions: dict[str, str] = {}


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that matter; looked up once."""
    if not _versions:
        import platform
        from importlib import metadata

        _versions["python"] = platform.python_version()
        for name in LIBRARIES:
            try:
                _versions[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
    return dict(_versions)


def totals(service: Service, children: Sequence[Child], record: Record) -> dict[str, Any]:
    """Objects and bytes of all listeners, for rates."""
    total: dict[str, Any] = {"objects": 0, "bytes": 0}
    for name in service.settings.listeners:
        counters = _counters(name, children, record)
        for key in total:
            total[key] += counters.get(key, 0)
    return total


def _counters(name: str, children: Sequence[Child], record: Record) -> dict[str, Any]:
    living = [child.counters for child in children if child.role.listener == name]
    return record.ledger.total(name, living)


def _listener(
    name: str, service: Service, children: Sequence[Child], record: Record
) -> dict[str, Any]:
    settings = service.settings.listeners[name]
    crew = service.crews.get(name)
    boards = {}
    for item in [*service.crews.values(), *service.old_crews]:
        if item.name == name:
            boards[id(item.board)] = item.board.scoreboard
    serving = [
        child for child in children if child.role.listener == name and child.state == "running"
    ]
    return {
        "addresses": service.addresses(name),
        "ae_title": settings.ae_title,
        "profile": settings.profile.name if settings.profile else "",
        "profile_file": settings.profile.file if settings.profile else "",
        "store": settings.store or next(iter(service.settings.stores), ""),
        "tls": settings.tls is not None,
        "checks": settings.checks,
        "workers": len(serving),
        "workers_wanted": len(crew.roles) if crew else 0,
        "serving": bool(serving),
        "generation": crew.generation if crew else 0,
        "associations": sum(board.associations() for board in boards.values()),
        "connections": sum(board.connections() for board in boards.values()),
        "associations_limit": settings.limits.associations,
        "counters": _counters(name, children, record),
    }


def _jobs(
    service: Service, requestors: Sequence[Child], answers: Mapping[int, Any]
) -> list[Any] | None:
    """The jobs as the newest requestor that answers knows them; None when there are none."""
    if not service.settings.retrievals:
        return None
    for child in requestors:
        answer = answers.get(child.pid)
        if isinstance(answer, Mapping):
            return list(answer.get("jobs") or ())
    return []


def _worker(child: Child, now: float) -> dict[str, Any]:
    return {
        "role": child.role.kind,
        "name": child.role.name,
        "pid": child.pid,
        "state": child.state,
        "generation": child.role.generation,
        "age_seconds": round(now - child.born, 1),
        "last_heartbeat_seconds": round(now - child.last_seen, 1),
        "restarts": child.role.births - 1,
        "counters": dict(child.counters),
    }


def _associations(children: Sequence[Child], answers: Mapping[int, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for child in children:
        if child.role.kind != "acceptor":
            continue
        answer = answers.get(child.pid)
        if isinstance(answer, Mapping):
            answer = answer.get("associations")
        for item in answer or ():
            entry = {"listener": child.role.listener, "pid": child.pid, **item}
            age = float(entry.get("age_seconds") or entry.get("age") or 0)
            objects = entry.get("objects", 0)
            entry["age_seconds"] = age
            entry["objects_per_second"] = round(objects / age, 2) if age > 0 else 0.0
            found.append(entry)
    return found
