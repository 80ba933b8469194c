"""Jobs as people see them: schedules that fire, and answers to ``dicomd jobs``."""

import secrets
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import structlog

from dicomd.errors import DicomdError
from dicomd.requestor.dispatcher import Dispatcher
from dicomd.requestor.find_scu import PATIENT_ID
from dicomd.requestor.ledger import OPEN_STATES, Ledger, Run, Study
from dicomd.requestor.schedule import next_interval, next_time, parse_cron
from dicomd.settings.retrieval import RetrievalSettings

log = structlog.get_logger("dicomd.requestor")

_MISSING_SHOWN = 50_000
_DRY_RUN_SHOWN = 20_000
"""An answer has to fit into what may wait on a lifeline, 8 MiB."""
_STUDIES_SHOWN = 1000
_TAGS = {
    0x00100020: "PatientID",
    0x0020000D: "StudyInstanceUID",
    0x0020000E: "SeriesInstanceUID",
    0x00080018: "SOPInstanceUID",
}


class JobsError(DicomdError):
    """A command that cannot be carried out; the text says why."""


class Runner(Protocol):
    """The part of the engine that begins runs."""

    def start_run(self, run: str) -> None:
        """Begin a run that the ledger knows."""


class Jobs:
    """Commands and the schedule. ``runner`` is None until the engine works."""

    def __init__(self, dispatcher: Dispatcher, ledger: Ledger) -> None:
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._retrievals = dispatcher.settings.retrievals
        self.runner: Runner | None = None
        self._commands: dict[str, Callable[[dict[str, Any]], Any]] = {
            "jobs.list": self._list,
            "jobs.show": self._show,
            "jobs.run": self._run,
            "jobs.pause": self._pause,
            "jobs.resume": self._resume,
            "jobs.cancel": self._cancel,
            "jobs.retry": self._retry,
            "jobs.history": self._history,
        }

    def answer(self, what: str, arguments: dict[str, Any]) -> Any:
        """Carry a command out; JobsError says why not."""
        command = self._commands.get(what)
        if command is None:
            raise JobsError(f"no command {what}")
        return command(arguments)

    # The schedule

    def fire(self, now: datetime) -> None:
        """Begin what is due. A time is dealt with once, whatever the wall clock does."""
        if self.runner is None or self._dispatcher.draining.is_set():
            return
        for job, settings in self._retrievals.items():
            due = self._due(job, settings, now)
            if due is not None:
                self._fire_one(job, settings, due)

    def next_due(self, job: str, now: datetime) -> datetime | None:
        """When a job begins next by itself."""
        settings = self._retrievals[job]
        if settings.paused or self._ledger.is_paused(job):
            return None
        last = self._ledger.last_due(job)
        if settings.schedule:
            zone = ZoneInfo(settings.timezone)
            base = max(last, now) if last is not None else now
            return next_time(parse_cron(settings.schedule), zone, base)
        if settings.every is not None:
            return next_interval(settings.every, last, now)
        return None

    def _due(self, job: str, settings: RetrievalSettings, now: datetime) -> datetime | None:
        last = self._ledger.last_due(job)
        if settings.every is not None:
            return now if next_interval(settings.every, last, now) <= now else None
        if not settings.schedule:
            return None
        if last is None:
            # A job that is new begins at its next time, not at one before it was written.
            self._ledger.set_last_due(job, now)
            return None
        cron, zone = parse_cron(settings.schedule), ZoneInfo(settings.timezone)
        due = next_time(cron, zone, last)
        if due > now:
            return None
        while (later := next_time(cron, zone, due)) <= now:
            due = later  # of several missed ones the last is made up for
        return due

    def _fire_one(self, job: str, settings: RetrievalSettings, due: datetime) -> None:
        missed = (self._dispatcher.now() - due).total_seconds() > 60.0
        reason = ""
        if settings.paused or self._ledger.is_paused(job):
            reason = "paused"
        elif missed and not settings.catch_up:
            reason = "the daemon was not running at that time"
        elif open_runs := self._ledger.open_runs(job):
            reason = f"run {open_runs[0].run} has not ended"
        self._ledger.set_last_due(job, due)
        if reason:
            log.warning("job.skipped", job=job, reason=reason)
            return
        self._begin(job, f"{job}:{due.astimezone(UTC):%Y%m%dT%H%M%SZ}", "schedule")

    def _begin(self, job: str, run: str, cause: str, source: str = "") -> None:
        if self.runner is None:
            raise JobsError("the job engine is still starting; try again in a moment")
        if self._ledger.add_run(run, job, cause, self._dispatcher.now().timestamp(), source):
            self.runner.start_run(run)

    # Commands

    def _list(self, arguments: dict[str, Any]) -> Any:
        del arguments
        return {"jobs": [self._summary(job) for job in sorted(self._retrievals)]}

    def _summary(self, job: str) -> dict[str, Any]:
        settings = self._retrievals[job]
        runs = self._ledger.runs(job, limit=1)
        latest = runs[0] if runs else None
        paused = settings.paused or self._ledger.is_paused(job)
        running = latest is not None and latest.state in OPEN_STATES
        due = self.next_due(job, self._dispatcher.now())
        why = self._dispatcher.why_not_now(job, latest if running else None)
        return {
            "name": job,
            "remote": settings.remote,
            "destination": settings.destination,
            "schedule": settings.schedule
            or (f"every {settings.every:g}s" if settings.every is not None else "by hand"),
            "timezone": settings.timezone,
            "priority": settings.priority,
            "verify": settings.verify,
            "state": "paused" if paused else "running" if running else "idle",
            "paused": paused,
            "next": due.isoformat() if due else None,
            "why": [
                {
                    "kind": one.kind,
                    "text": one.text,
                    "until": one.until.isoformat() if one.until else None,
                }
                for one in why
            ],
            "run": self._run_facts(latest) if latest else None,
        }

    def _run_facts(self, run: Run) -> dict[str, Any]:
        tally = self._ledger.tally(run.run)
        return {
            "run": run.run,
            "trigger": run.cause,
            "state": run.state,
            "started": _moment(run.started),
            "ended": _moment(run.ended),
            "reason": run.reason,
            "studies": sum(tally.values()),
            **{
                state: tally.get(state, 0)
                for state in (
                    "waiting",
                    "queued",
                    "moving",
                    "verified",
                    "reported",
                    "incomplete",
                    "cancelled",
                )
            },
        }

    def _show(self, arguments: dict[str, Any]) -> Any:
        job = self._name(arguments)
        answer = self._summary(job)
        runs = self._ledger.runs(job, limit=1)
        missing: list[str] = []
        unfinished: list[dict[str, Any]] = []
        if runs:
            states = ("moving", "queued", "waiting", "incomplete", "cancelled")
            for study in self._ledger.studies(runs[0].run, states, limit=_STUDIES_SHOWN):
                unfinished.append(_study_facts(study))
            for study in self._ledger.studies(
                runs[0].run, ("incomplete", "waiting", "queued", "moving"), limit=_MISSING_SHOWN
            ):
                missing += study.missing[: _MISSING_SHOWN - len(missing)]
        return {**answer, "missing": missing, "unfinished": unfinished}

    def _history(self, arguments: dict[str, Any]) -> Any:
        job = self._name(arguments)
        limit = int(arguments.get("limit") or 20)
        return {"runs": [self._run_facts(run) for run in self._ledger.runs(job, limit=limit)]}

    def _run(self, arguments: dict[str, Any]) -> Any:
        job = self._name(arguments)
        now = self._dispatcher.now()
        settings = self._retrievals[job]
        if arguments.get("dry_run"):
            units = self._dispatcher.units(settings, now.timestamp(), lambda: "")
            return {
                "name": job,
                "dry_run": True,
                "total": len(units),
                "studies": [
                    {"level": level, **_named(keys)} for level, keys in units[:_DRY_RUN_SHOWN]
                ],
            }
        open_runs = self._ledger.open_runs(job)
        if open_runs:
            raise JobsError(f"{job} is running already: {open_runs[0].run}")
        run = f"{job}:{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self._begin(job, run, "hand")
        return {"name": job, "run": run}

    def _pause(self, arguments: dict[str, Any]) -> Any:
        job = self._name(arguments)
        self._ledger.set_paused(job, True)
        log.info("job.ordered", job=job, order="pause")
        self._dispatcher.wake()
        return {"name": job, "paused": True}

    def _resume(self, arguments: dict[str, Any]) -> Any:
        job = self._name(arguments)
        if self._retrievals[job].paused:
            raise JobsError(f"{job} is paused in the configuration (paused: true); change it there")
        self._ledger.set_paused(job, False)
        log.info("job.ordered", job=job, order="resume")
        self._dispatcher.wake()
        return {"name": job, "paused": False}

    def _cancel(self, arguments: dict[str, Any]) -> Any:
        job = self._name(arguments)
        runs = self._ledger.open_runs(job)
        if not runs:
            raise JobsError(f"{job} is not running")
        for run in runs:
            self._dispatcher.cancel(run.run)
        log.info("job.ordered", job=job, order="cancel")
        return {"name": job, "cancelled": [run.run for run in runs]}

    def _retry(self, arguments: dict[str, Any]) -> Any:
        job = self._name(arguments)
        if self._ledger.open_runs(job):
            raise JobsError(f"{job} is running; what is missing is asked for again by itself")
        runs = self._ledger.runs(job, limit=1)
        if not runs:
            raise JobsError(f"{job} has never run")
        tally = self._ledger.tally(runs[0].run)
        now = self._dispatcher.now()
        run = f"{job}:{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        if tally and not tally.get("incomplete") and not tally.get("cancelled"):
            raise JobsError(f"nothing to retry: every study of {runs[0].run} is complete")
        # A run that failed before it had a list has nothing to copy: it is run anew.
        self._begin(job, run, "retry", runs[0].run if tally else "")
        log.info("job.ordered", job=job, order="retry")
        return {"name": job, "run": run}

    def _name(self, arguments: dict[str, Any]) -> str:
        name = str(arguments.get("name") or "")
        if name not in self._retrievals:
            import difflib

            close = difflib.get_close_matches(name, self._retrievals, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise JobsError(f"no retrieval {name!r} is configured{hint}")
        return name


def _study_facts(study: Study) -> dict[str, Any]:
    facts = asdict(study)
    del facts["run"], facts["keys"], facts["handed"]
    facts["missing"] = len(study.missing)  # their UIDs stand together, beside the studies
    facts["next_at"] = _moment(study.next_at) if study.next_at > time.time() else None
    return {**_named(study.keys), **facts}


def _named(keys: dict[int, str]) -> dict[str, str]:
    """Unique keys by name; a patient's is not shown to whoever reads along."""
    return {_TAGS[tag]: value for tag, value in keys.items() if tag in _TAGS and tag != PATIENT_ID}


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
