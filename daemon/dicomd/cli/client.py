"""dicomd status, reload, stop: talk to the running daemon through its control socket."""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dicomd.cli import exit_codes
from dicomd.cli.config_file import add_config_argument, find_config
from dicomd.errors import ConfigError, DicomdError
from dicomd.supervisor.control import connect
from dicomd.supervisor.room import room_of

DEFAULT_SOCKET = "/run/dicomd/control.sock"
NOT_RUNNING = 3
"""No daemon answers at the control socket; 3 is what service scripts give for it."""
WATCH_S = 1.0
_TIMEOUT_S = 30.0
_CONTROL_SOCKET, _STATE_DIRECTORY = (
    re.compile(
        rf"""^\s*["']?{key}["']?\s*:\s*["']?([^"'#,\n]*?)["']?\s*,?\s*(?:\#.*)?$""", re.MULTILINE
    )
    for key in ("control_socket", "state_directory")
)


class ControlError(DicomdError):
    """The daemon refused an order, or cannot be reached. Carries what it said."""

    def __init__(self, text: str, *, faults: Sequence[str] = (), running: bool = True) -> None:
        self.faults = tuple(faults)
        self.running = running
        super().__init__(text)


def add_client_arguments(parser: argparse.ArgumentParser) -> None:
    """``--config`` and ``--socket``: how the daemon is found."""
    add_config_argument(parser)
    parser.add_argument(
        "--socket", metavar="PATH", help="the daemon's control socket (default: as configured)"
    )


def find_socket(arguments: argparse.Namespace) -> str:
    """The control socket that ``--socket`` or the configuration names.

    The key is looked for in the text first: a daemon can be asked about while its configuration
    is broken.
    """
    if arguments.socket:
        return str(arguments.socket)
    path = find_config(arguments)
    try:
        text = Path(path).read_text(errors="replace")
    except OSError as error:
        if arguments.config:
            raise ControlError(
                f"{path}: {error.strerror}; name the control socket with --socket"
            ) from error
        return DEFAULT_SOCKET
    found = _CONTROL_SOCKET.search(text)
    if found and found[1]:
        return _beside(path, found[1])
    from dicomd.config.load import load

    try:
        return load(path).control_socket or DEFAULT_SOCKET
    except ConfigError:
        found = _STATE_DIRECTORY.search(text)
        if found and found[1]:
            return os.path.join(_beside(path, found[1]), "control.sock")
        return DEFAULT_SOCKET


def request(path: str, command: str, *, timeout_s: float | None = _TIMEOUT_S, **keys: Any) -> Any:
    """One request to the daemon at ``path``; its result. ControlError when it refuses or does not
    answer within ``timeout_s`` seconds (None: as long as it takes)."""
    try:
        with connect(path, timeout_s=timeout_s) as sock:
            sock.sendall(json.dumps({"command": command, **keys}).encode() + b"\n")
            with sock.makefile("rb") as lines:
                line = lines.readline()
    except TimeoutError as error:
        raise ControlError(f"the daemon at {path} does not answer") from error
    except OSError as error:
        raise ControlError(
            f"no daemon answers at {path}: {error.strerror or error}", running=False
        ) from error
    if not line.endswith(b"\n"):
        raise ControlError(f"the daemon at {path} went away before it answered", running=False)
    answer = json.loads(line)
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error", "refused")), faults=answer.get("faults", ()))
    return answer.get("result")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``dicomd status``, ``reload`` and ``stop``."""
    add_client_arguments(parser)
    match parser.get_default("verb"):
        case "status":
            parser.add_argument("--json", action="store_true", help="everything, as JSON")
            parser.add_argument("--watch", action="store_true", help="again every second, until ^C")
        case "reload":
            parser.add_argument("--json", action="store_true", help="what changed, as JSON")
            parser.add_argument(
                "--dry-run", action="store_true", help="say what a reload would change, and stop"
            )
        case "stop":
            parser.add_argument(
                "--now", action="store_true", help="abort what runs instead of letting it end"
            )


def run(arguments: argparse.Namespace) -> int:
    """Run one of the three. 0: done; 1: refused; 3: no daemon answers."""
    try:
        path = find_socket(arguments)
        match arguments.verb:
            case "status":
                return _status(path, as_json=arguments.json, watch=arguments.watch)
            case "reload":
                return _reload(path, as_json=arguments.json, dry_run=arguments.dry_run)
            case _:
                return _stop(path, now=arguments.now)
    except ControlError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        print(f"dicomd: {error}", file=sys.stderr)
        return exit_codes.USAGE if error.running else NOT_RUNNING


def _status(path: str, *, as_json: bool, watch: bool) -> int:
    while True:
        result = request(path, "status")
        for store in result["stores"].values():
            room = room_of(store["directory"])
            store["free_bytes"], store["size_bytes"] = room if room else (None, None)
        if as_json:
            text = json.dumps(result, indent=None if watch else 2)
        else:
            text = "\n".join(status_lines(result))
        if watch and not as_json and sys.stdout.isatty():
            print("\x1b[H\x1b[2J", end="")
        print(text, flush=True)
        if not watch:
            return exit_codes.OK
        time.sleep(WATCH_S)
        if not as_json and not sys.stdout.isatty():
            print()


def _reload(path: str, *, as_json: bool, dry_run: bool) -> int:
    result = request(path, "plan" if dry_run else "reload", timeout_s=None)
    if as_json:
        print(json.dumps(result, indent=2))
        return exit_codes.OK
    for line in plan_lines(result, would=dry_run):
        print(line)
    return exit_codes.OK


def _stop(path: str, *, now: bool) -> int:
    pid = 0
    try:
        pid = int(request(path, "status")["pid"])
    except (KeyError, ValueError):
        pid = 0
    result = request(path, "stop", timeout_s=None, now=now)
    while pid and os.path.exists(f"/proc/{pid}") and not _is_zombie(pid):
        # Its log writer writes the last lines; then the process is gone too.
        time.sleep(0.01)
    print(f"stopped after {result['seconds']:.1f} s")
    return exit_codes.OK


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def _beside(config: str, path: str) -> str:
    """A path in the configuration, as the daemon takes it: relative to the file's folder."""
    return path if os.path.isabs(path) else os.path.join(os.path.dirname(config) or ".", path)


def plan_lines(result: dict[str, Any], *, would: bool) -> list[str]:
    """What a reload did, or would do, for people."""
    lines = []
    for change in result["changes"]:
        key, old, new = change["key"], change["old"], change["new"]
        if old is None:
            lines.append(f"  {key}: {new} (new)")
        elif new is None:
            lines.append(f"  {key}: gone (was {old})")
        elif old == new:  # what a file holds, which is not shown
            lines.append(f"  {key}: {new}")
        else:
            lines.append(f"  {key}: {old} -> {new}")
    listeners, jobs = result["listeners"], result["jobs"]
    if not lines and not listeners["replaced"]:
        return ["nothing would change" if would else "nothing has changed"]
    lines.insert(0, "would change:" if would else "changed:")
    words = (
        ("opened", "listeners opened"),
        ("closed", "listeners closed (what runs there goes on to its end)"),
        ("replaced", "listeners with new workers (what runs goes on under the old settings)"),
        ("kept", "listeners left alone"),
    )
    lines += [f"{text}: {', '.join(listeners[key])}" for key, text in words if listeners[key]]
    lines += [f"callers: {text}" for text in result["callers"]]
    lines += [f"jobs {key}: {', '.join(jobs[key])}" for key in jobs if jobs[key]]
    return lines


def status_lines(result: dict[str, Any]) -> list[str]:
    """The status for people."""
    throughput = result["throughput"]
    lines = [
        f"dicomd {result['version']}, process {result['pid']}, {result['state']}"
        f" for {_duration(result['uptime_seconds'])}"
        + ("" if result["healthy"] else ", NOT HEALTHY: a listener has no worker"),
        (
            f"{throughput['objects']} objects, {_bytes(throughput['bytes'])} since the start;"
            f" now {throughput['objects_per_second']:.1f} objects/s,"
            f" {_bytes(throughput['bytes_per_second'])}/s"
        ),
        *_reload_lines(result["reload"]),
    ]
    dropped = result["log"]["dropped"]
    if dropped:
        lines.append(f"log: {dropped} lines dropped")
    lines += [f"log: {name} fails: {why}" for name, why in result["log"]["failing"].items()]
    lines += _table(
        "LISTENER",
        ("address", "AE title", "profile", "workers", "assoc.", "objects", "refused", "rejected"),
        [
            (
                name,
                ", ".join(item["addresses"]) + (" TLS" if item["tls"] else ""),
                item["ae_title"],
                item["profile"] or "-",
                f"{item['workers']}/{item['workers_wanted']}",
                f"{item['associations']}/{item['associations_limit']}",
                item["counters"].get("objects", 0),
                item["counters"].get("refused", 0),
                item["counters"].get("rejected", 0),
            )
            for name, item in result["listeners"].items()
        ],
    )
    lines += _table(
        "ASSOCIATION",
        ("listener", "peer", "calling", "called", "age", "objects", "rate"),
        [
            (
                item.get("association", "-"),
                item["listener"],
                item.get("peer", "-"),
                item.get("calling_ae", "-"),
                item.get("called_ae", "-"),
                _duration(item["age_seconds"]),
                item.get("objects", 0),
                f"{item['objects_per_second']:.1f}/s",
            )
            for item in result["associations"]
        ],
    )
    lines += _table(
        "STORE",
        ("directory", "free", "of", "floor"),
        [
            (
                name,
                item["directory"],
                "missing" if item["free_bytes"] is None else _bytes(item["free_bytes"]),
                "-" if item["size_bytes"] is None else _bytes(item["size_bytes"]),
                _bytes(item["min_free_bytes"]),
            )
            for name, item in result["stores"].items()
        ],
    )
    lines += _table(
        "PROCESS",
        ("pid", "role", "state", "gen.", "age", "restarts"),
        [
            (
                item["name"],
                item["pid"],
                item["role"],
                item["state"],
                item["generation"],
                _duration(item["age_seconds"]),
                item["restarts"],
            )
            for item in result["workers"]
        ],
    )
    jobs = result["jobs"]
    if isinstance(jobs, list) and jobs:
        lines += _table(
            "JOB",
            ("state", "next"),
            [
                (job.get("name", "-"), job.get("state", "-"), job.get("next") or "-")
                for job in jobs
                if isinstance(job, dict)
            ],
        )
    return lines


def _reload_lines(reload: dict[str, Any] | None) -> list[str]:
    if reload is None:
        return []
    lines = [f"last reload {reload['time']}: {reload['result']}"]
    for fault in reload["faults"]:
        place = ":".join(str(fault[key]) for key in ("file", "line", "column") if fault[key])
        lines.append(f"  {place}: {fault['text']}" if place else f"  {fault['text']}")
    return lines


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """An empty line, then the columns, as wide as they need to be; nothing without rows."""
    if not rows:
        return []
    cells = [[title, *columns], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(cells[0]))]
    return [
        "",
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ),
    ]


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError
