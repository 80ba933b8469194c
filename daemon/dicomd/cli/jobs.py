"""dicomd jobs: list, show, run, pause, resume, cancel, retry and history of retrievals."""

import argparse
import json
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dicomd.cli.client import NOT_RUNNING, ControlError, add_client_arguments, find_socket, request

_DRY_RUN_TIMEOUT_S = 600.0
_SHOWN = 20
_ACTIONS = {
    "list": "every retrieval: its state, when it runs next, how its last run went",
    "show": "one retrieval: why it does not run just now, what is missing",
    "run": "begin a run now",
    "pause": "take no new studies, now and after a restart, until resumed",
    "resume": "end a pause",
    "cancel": "end the run under way: its transfers are cancelled",
    "retry": "ask again for what the last run could not complete",
    "history": "earlier runs",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One action each, most with the name of a retrieval."""
    add_client_arguments(parser)
    # The same options again behind the action; absent there, they leave alone what stood before.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    add_client_arguments(common)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, summary in _ACTIONS.items():
        sub = actions.add_parser(
            action,
            help=summary,
            description=summary[0].upper() + summary[1:] + ".",
            parents=[common],
            allow_abbrev=False,
        )
        sub.add_argument("--json", action="store_true", help="the answer as JSON")
        if action != "list":
            sub.add_argument("name", metavar="NAME", help="a key of `retrievals:`")
        if action == "run":
            sub.add_argument(
                "--dry-run", action="store_true", help="list what would be fetched, and stop"
            )
        if action == "history":
            sub.add_argument("--limit", type=int, default=20, metavar="N", help="how many runs")


def run(arguments: argparse.Namespace) -> int:
    """0: done; 1: refused; 3: no daemon answers."""
    action: str = arguments.action
    asked: dict[str, Any] = {}
    if action != "list":
        asked["name"] = arguments.name
    if action == "run":
        asked["dry_run"] = arguments.dry_run
    if action == "history":
        asked["limit"] = arguments.limit
    keys: dict[str, Any] = {"timeout_s": _DRY_RUN_TIMEOUT_S} if asked.get("dry_run") else {}
    try:
        answer = request(find_socket(arguments), f"jobs.{action}", arguments=asked, **keys)
    except ControlError as error:
        print(f"dicomd jobs {action}: {error}", file=sys.stderr)
        return 1 if error.running else NOT_RUNNING
    if arguments.json:
        print(json.dumps(answer["jobs"] if action == "list" else answer, indent=2))
    else:
        print(_SHOW.get(action, _done)(answer))
    return 0


def _list(answer: Mapping[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [
        ("NAME", "REMOTE", "STATE", "NEXT", "LAST RUN", "STUDIES", "INCOMPLETE")
    ]
    for job in answer["jobs"]:
        last = job["run"] or {}
        rows.append(
            (
                job["name"],
                job["remote"],
                job["state"],
                _when(job["next"]) or "-",
                f"{last['state']} {_when(last['ended'] or last['started'])}" if last else "-",
                f"{last['verified'] + last['reported']}/{last['studies']}" if last else "-",
                str(last["incomplete"]) if last else "-",
            )
        )
    return _table(rows) if len(rows) > 1 else "no retrievals are configured"


def _show(job: Mapping[str, Any]) -> str:
    lines = [
        f"{job['name']}: {job['state']}",
        f"  from {job['remote']} to {job['destination']}, verified by {job['verify']}",
        f"  schedule: {job['schedule']} ({job['timezone']}), next {_when(job['next']) or '-'}",
    ]
    last = job["run"]
    if last:
        lines.append(f"  run {last['run']}: {last['state']}, by {last['trigger']}")
        lines.append(f"    started {_when(last['started'])}, ended {_when(last['ended']) or '-'}")
        counts = ", ".join(
            f"{last[state]} {state}"
            for state in (
                "verified", "reported", "moving", "queued", "waiting", "incomplete", "cancelled",
            )
            if last[state]
        )  # fmt: skip
        lines.append(f"    {last['studies']} studies: {counts or 'none'}")
        if last["reason"]:
            lines.append(f"    {last['reason']}")
    if job["why"]:
        lines.append("  not now, because:")
        lines += [f"    {one['text']}" for one in job["why"]]
    for study in job["unfinished"][:_SHOWN]:
        name = study.get("StudyInstanceUID") or f"number {study['ordinal']}"
        of = f", {study['present']} of {study['promised']} there" if study["promised"] else ""
        lines.append(f"  {study['state']}: {name}{of}, attempt {study['attempts']}")
        if study["reason"]:
            lines.append(f"    {study['reason']}")
    if len(job["unfinished"]) > _SHOWN:
        lines.append(f"  and {len(job['unfinished']) - _SHOWN} more; --json names them all")
    if job["missing"]:
        lines.append(f"  missing instances: {len(job['missing'])}")
        lines += [f"    {uid}" for uid in job["missing"][:_SHOWN]]
        if len(job["missing"]) > _SHOWN:
            lines.append("    …; --json names them all")
    return "\n".join(lines)


def _history(answer: Mapping[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [
        ("RUN", "BY", "STATE", "STARTED", "ENDED", "STUDIES", "VERIFIED", "INCOMPLETE")
    ]
    for one in answer["runs"]:
        rows.append(
            (
                one["run"],
                one["trigger"],
                one["state"],
                _when(one["started"]),
                _when(one["ended"]) or "-",
                str(one["studies"]),
                str(one["verified"]),
                str(one["incomplete"]),
            )
        )
    return _table(rows) if len(rows) > 1 else "no runs yet"


def _run(answer: Mapping[str, Any]) -> str:
    if not answer.get("dry_run"):
        return f"started {answer['run']}"
    studies = answer["studies"]
    lines = [
        " ".join([one["level"], *(f"{name}={uid}" for name, uid in one.items() if name != "level")])
        for one in studies
    ]
    return "\n".join([*lines, f"{answer['total']} would be fetched"])


def _done(answer: Mapping[str, Any]) -> str:
    if "cancelled" in answer:
        return "cancelled " + ", ".join(answer["cancelled"])
    if "paused" in answer:
        return f"{answer['name']} {'paused' if answer['paused'] else 'resumed'}"
    return f"started {answer['run']}"


_SHOW = {"list": _list, "show": _show, "history": _history, "run": _run}


def _when(text: str | None) -> str:
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
