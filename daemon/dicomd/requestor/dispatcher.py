"""The dispatcher: what the engine's workflows do, and what is handed out when.

``find`` fills the ledger, ``watch`` hands its studies out as windows, pauses, rates and limits
allow and closes the run, ``retrieve`` runs one pass over one study. All of it may be cut at any
moment and called again.
"""

import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from dicomd.errors import MoveError
from dicomd.query.dictionary import QueryError
from dicomd.requestor.arrivals import Arrivals
from dicomd.requestor.association import AssociationFailed
from dicomd.requestor.find_scu import STUDY_UID
from dicomd.requestor.ledger import OPEN_STATES, Ledger, Run, Study
from dicomd.requestor.place import Place, acquire
from dicomd.requestor.remote import Remote
from dicomd.requestor.study_pass import Interrupted, PassResult, StudyPass
from dicomd.requestor.units import Unit, from_find, from_keys, from_list
from dicomd.requestor.window import Hindrance, Situation, hindrances, opening
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.retrieval import RetrievalSettings, RetrySettings

log = structlog.get_logger("dicomd.requestor")

_TURN_S = 0.5
_PROGRESS_S = 60.0
_LEDGER_LOOK_S = 1.0
_FAULT_S = 2.0
_MOST_HANDED = 16
"""Studies handed out beyond those under way."""


class HandOut(Protocol):
    """The engine's way to queue a transfer."""

    def __call__(self, remote: str, run: str, ordinal: int, handed: int, priority: str) -> None: ...


class Dispatcher:
    """Bodies of the workflows. Mutable: what runs here, what was cancelled, that we drain."""

    def __init__(
        self,
        settings: DaemonSettings,
        ledger: Ledger,
        arrivals: Arrivals,
        *,
        node: str,
        shared: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.node = node
        self._shared = shared
        self.hand_out: HandOut | None = None
        self.places = {
            name: Place(
                Remote(name, remote),
                threading.Semaphore(remote.max_retrievals),
                threading.Semaphore(max(1, remote.max_retrievals // 2)),
            )
            for name, remote in settings.remotes.items()
        }
        self.draining = threading.Event()
        self.verified = 0
        self.failed = 0
        self.instances = 0
        self._arrivals = arrivals
        self._clock = clock
        self._cancelled: set[str] = set()
        self._changed = threading.Condition()
        self._turn = 0

    # What others ask and say

    def now(self) -> datetime:
        """The wall clock."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def wake(self) -> None:
        """Something changed: runs look again at what they may hand out."""
        with self._changed:
            self._turn += 1
            self._changed.notify_all()

    def cancel(self, run: str) -> None:
        """Close a run: transfers under way get a C-CANCEL, what waits is dropped."""
        self._cancelled.add(run)
        self.ledger.close_studies(run, "cancelled", "cancelled")
        self.ledger.end_run(run, "cancelled", self._clock(), "cancelled")
        self.wake()

    def situation(self, job: str, run: Run | None) -> Situation:
        """What stands around a job just now."""
        settings = self.settings.retrievals[job]
        place = self.places[settings.remote]
        begun: tuple[datetime, ...] = ()
        if settings.rate.studies_per_hour is not None:
            times = self.ledger.begun_since(job, self._clock() - 3600)
            begun = tuple(datetime.fromtimestamp(moment, UTC) for moment in times)
        backing_off = run.next_at if run is not None else 0.0
        if run is not None and not backing_off and run.state == "running":
            due = self.ledger.next_due(run.run)
            late = due is not None and due > self._clock()
            backing_off = due if due is not None and late and not self.ledger.busy(run.run) else 0.0
        return Situation(
            now=self.now(),
            zone=ZoneInfo(settings.timezone),
            window=settings.window,
            paused=settings.paused or self.ledger.is_paused(job),
            draining=self.draining.is_set(),
            remote=settings.remote,
            running=place.running,
            most_running=place.remote.settings.max_retrievals,
            started_last_hour=begun,
            studies_per_hour=settings.rate.studies_per_hour,
            backing_off_until=datetime.fromtimestamp(backing_off, UTC) if backing_off else None,
            pause_until=datetime.fromtimestamp(place.pause_until, UTC)
            if place.pause_until
            else None,
        )

    def why_not_now(self, job: str, run: Run | None) -> list[Hindrance]:
        """Every reason why nothing of a job is begun just now."""
        return hindrances(self.situation(job, run))

    # The steps of a run

    def find(self, run_id: str) -> None:
        """List what the run is to retrieve. Ends the run when that cannot be had."""
        run = self.ledger.run(run_id)
        if run is None or run.state != "finding":
            return
        settings = self.settings.retrievals.get(run.job)
        if settings is None:
            self._end(run, "failed", "this retrieval is no longer configured")
            return
        log.info("job.started", job=run.job, run=run_id, trigger=run.cause, remote=settings.remote)
        failures = 0
        while True:
            try:
                if run.source:
                    count = self.ledger.copy_unfinished(run_id, run.source)
                else:
                    count = self._list(run, settings)
                break
            except (MoveError, QueryError) as exc:
                failures += 1
                retryable = isinstance(exc, MoveError) and exc.retryable
                if not retryable or failures >= settings.retry.attempts:
                    self._end(run, "failed", str(exc))
                    return
                delay = back_off(settings.retry, failures)
                log.warning("job.retried", job=run.job, run=run_id, reason=str(exc), seconds=delay)
                until = self._clock() + delay
                self.ledger.set_unreachable(run_id, failures, until, str(exc))
                if not self._wait_until(until, run_id):
                    return
        self.ledger.set_running(run_id)
        log.info("job.progressed", job=run.job, run=run_id, studies=count)

    def units(
        self, settings: RetrievalSettings, started: float, stop: Callable[[], str]
    ) -> list[Unit]:
        """What a run would retrieve, asked of the remote where a query says so."""
        if settings.list:
            return list(from_list(settings.list, settings.model))
        if settings.find is None:
            return list(from_keys(settings))
        today = datetime.fromtimestamp(started, ZoneInfo(settings.timezone)).date()
        place = self.places[settings.remote]

        def alive() -> float:
            if reason := stop():
                raise Interrupted(reason)
            return 0.0

        with place.remote.line(settings.model, alive) as line:
            finder = line.finder(place.remote.settings.dimse_timeout, alive)
            found = list(from_find(finder, settings, today))
            line.next_message_id = finder.next_message_id
            return found

    def _list(self, run: Run, settings: RetrievalSettings) -> int:
        if settings.list:  # not gathered: a list may be long
            return self.ledger.add_studies(run.run, from_list(settings.list, settings.model))
        stop = self._interruption(run.run, None)
        return self.ledger.add_studies(run.run, self.units(settings, run.started, stop))

    def watch(self, run_id: str) -> None:
        """Hand the studies out until each has ended, then close the run."""
        shown = time.monotonic()
        while True:
            run = self.ledger.run(run_id)
            if run is None or run.state not in OPEN_STATES:
                return
            if run.job not in self.settings.retrievals:
                self._end(run, "failed", "this retrieval is no longer configured")
                return
            turn = self._turn
            if run.state == "finding":  # its list was cut by the daemon's end
                if not self.draining.wait(_TURN_S):
                    self.find(run_id)
                continue
            try:
                if self._feed(run):
                    self._close(run)
                    return
            except Exception as exc:  # the one place of a run that catches broadly
                log.exception("engine.failing", job=run.job, run=run_id, error=type(exc).__name__)
                self.draining.wait(_FAULT_S)
            if time.monotonic() - shown > _PROGRESS_S:
                shown = time.monotonic()
                self._show_progress(run)
            with self._changed:
                if turn == self._turn:
                    self._changed.wait(_TURN_S)

    def _feed(self, run: Run) -> bool:
        """Queue what may begin; True when nothing is left to do."""
        settings = self.settings.retrievals[run.job]
        busy = self.ledger.busy(run.run)
        waiting = self.ledger.next_due(run.run)
        if waiting is None:
            return not busy
        most = self.places[settings.remote].remote.settings.max_retrievals
        room = 2 * most + _MOST_HANDED - sum(busy.values())
        if room < min(most, _MOST_HANDED) or waiting > self._clock():
            return False
        situation = self.situation(run.job, run)
        blocking = [one for one in hindrances(situation) if one.kind not in ("remote", "pause")]
        if blocking or self.hand_out is None:
            return False
        limit = settings.rate.studies_per_hour
        if limit is not None:
            room = min(room, limit - len(situation.started_last_hour) - busy.get("queued", 0))
        if room <= 0:
            return False
        studies = self.ledger.due(run.run, self._clock(), room)
        for study in studies:
            self.hand_out(settings.remote, run.run, study.ordinal, study.handed, settings.priority)
        self.ledger.set_queued(run.run, [study.ordinal for study in studies])
        return False

    def _close(self, run: Run) -> None:
        tally = self.ledger.tally(run.run)
        bad = tally.get("incomplete", 0)
        state = "verified"
        if bad:
            state = "incomplete"
        elif tally.get("reported"):
            state = "reported"
        elif tally.get("cancelled"):
            state = "cancelled"
        reason = f"{bad} of {sum(tally.values())} studies are incomplete" if bad else ""
        self._end(run, state, reason)

    def _end(self, run: Run, state: str, reason: str) -> None:
        if not self.ledger.end_run(run.run, state, self._clock(), reason):
            return
        tally = self.ledger.tally(run.run)
        facts = {
            "job": run.job,
            "run": run.run,
            "studies": sum(tally.values()),
            "verified": tally.get("verified", 0),
            "incomplete": tally.get("incomplete", 0),
            "seconds": round(self._clock() - run.started, 3),
        }
        if state == "failed":
            log.error("job.failed", reason=reason, **facts)
        elif tally.get("incomplete"):
            log.warning("job.ended", **facts)
        else:
            log.info("job.ended", **facts)

    def _show_progress(self, run: Run) -> None:
        tally = self.ledger.tally(run.run)
        log.info(
            "job.progressed",
            job=run.job,
            run=run.run,
            studies=sum(tally.values()),
            verified=tally.get("verified", 0),
            incomplete=tally.get("incomplete", 0),
        )

    # The step of a study

    def retrieve(self, run_id: str, ordinal: int) -> str:
        """One pass over one study; returns the state that it came to."""
        run, study = self.ledger.run(run_id), self.ledger.study(run_id, ordinal)
        if run is None or study is None or run.state not in OPEN_STATES:
            return "gone"
        if study.state not in ("waiting", "queued", "moving"):
            return study.state
        settings = self.settings.retrievals.get(run.job)
        if settings is None:
            return "gone"
        place = self.places[settings.remote]
        stop = self._interruption(run_id, settings)
        try:
            return self._retrieve(run, study, settings, place, stop)
        except Interrupted as exc:
            self.ledger.give_back(run_id, ordinal, str(exc))
            return "given back"
        except AssociationFailed as exc:
            self._unreachable(run, settings, exc)
            self.ledger.give_back(run_id, ordinal, str(exc))
            return "unreachable"
        except Exception as exc:  # the one place of a transfer that catches broadly
            log.exception("engine.failing", job=run.job, run=run_id, error=type(exc).__name__)
            result = PassResult(state="missing", reason=f"a fault of ours: {type(exc).__name__}")
            return self._record(run, study, settings, result, 0.0)
        finally:
            self.wake()

    def _retrieve(
        self,
        run: Run,
        study: Study,
        settings: RetrievalSettings,
        place: Place,
        stop: Callable[[], str],
    ) -> str:
        listener = self.settings.listeners.get(settings.destination)
        study_pass = StudyPass(
            remote=place.remote,
            settings=settings,
            destination=listener.ae_title if listener else settings.destination,
            ours=listener is not None,
            level=study.level,
            keys=study.keys,
            arrivals=self._arrivals,
            interruption=stop,
            job=run.job,
            run_id=run.run,
            known_missing=study.missing,
        )
        acquire(place.ahead, stop)
        try:
            self._look_ahead(run, place, study_pass)
            asked = time.monotonic()
            acquire(place.slots, stop)
        finally:
            place.ahead.release()
        try:
            with place.lock:
                place.running += 1
            self._wait_for_pause(place, stop)
            if place.closed.is_set() or time.monotonic() - asked > _LEDGER_LOOK_S:
                self._hold_back(run, place)
            began = time.monotonic()
            if not self.ledger.set_moving(run.run, study.ordinal, self.node, self._clock()):
                return "gone"
            result = study_pass.run()
        finally:
            with place.lock:
                place.running -= 1
                if place.remote.settings.pause:
                    place.pause_until = self._clock() + place.remote.settings.pause
            place.slots.release()
        if run.failures:
            self.ledger.set_unreachable(run.run, 0, 0.0, "")
        return self._record(run, study, settings, result, time.monotonic() - began)

    def _look_ahead(self, run: Run, place: Place, study_pass: StudyPass) -> None:
        """Ask what the study holds while another is transferred: it costs the run no time then."""
        self._hold_back(run, place)
        try:
            study_pass.look_ahead()
        except AssociationFailed:
            if not place.running:
                raise  # else it takes no more associations just now: asked again in our turn

    def _hold_back(self, run: Run, place: Place) -> None:
        """Interrupted when a transfer that was handed out must not begin after all."""
        if place.closed.is_set():
            raise Interrupted("the daemon takes nothing new")
        for one in self.why_not_now(run.job, self.ledger.run(run.run)):
            if one.kind in ("paused", "draining", "window") or (
                one.kind == "backoff" and run.failures
            ):
                raise Interrupted(one.text)

    def _record(
        self,
        run: Run,
        study: Study,
        settings: RetrievalSettings,
        result: PassResult,
        seconds: float,
    ) -> str:
        attempts = study.attempts + 1
        facts = {
            "job": run.job,
            "run": run.run,
            "study": study.keys.get(STUDY_UID, ""),
            "attempt": attempts,
            "seconds": round(seconds, 3),
        }
        state, next_at = result.state, 0.0
        if result.state == "verified":
            self.verified += 1
            self.instances += result.promised or 0
            log.info("job.verified", promised=result.promised, **facts)
        elif result.state == "reported":
            log.info("job.reported", promised=result.promised, **facts)
        elif attempts < settings.retry.attempts and result.retryable:
            state = "waiting"
            delay = back_off(settings.retry, attempts)
            next_at = self._clock() + delay
            log.warning("job.retried", missing=len(result.missing), reason=result.reason, **facts)
        else:
            state = "incomplete"
            self.failed += 1
            log.error("job.failed", missing=len(result.missing), reason=result.reason, **facts)
        self.ledger.set_result(
            run.run,
            study.ordinal,
            state,
            now=self._clock(),
            attempts=attempts,
            next_at=next_at,
            promised=result.promised,
            present=result.present,
            missing=result.missing,
            reason=result.reason,
        )
        return state

    def _unreachable(self, run: Run, settings: RetrievalSettings, exc: AssociationFailed) -> None:
        """The remote is down: that is no study's fault, so the run as a whole backs off."""
        current = self.ledger.run(run.run)
        if current is None or current.next_at > self._clock():
            return  # another transfer has just found out
        failures = current.failures + 1
        if failures >= settings.retry.attempts or not exc.retryable:
            self.ledger.close_studies(run.run, "incomplete", str(exc))
            self._end(current, "failed", str(exc))
            return
        delay = back_off(settings.retry, failures)
        log.warning("job.retried", job=run.job, run=run.run, reason=str(exc), seconds=delay)
        self.ledger.set_unreachable(run.run, failures, self._clock() + delay, str(exc))

    def _interruption(self, run_id: str, settings: RetrievalSettings | None) -> Callable[[], str]:
        """Why a transfer should stop, looked up cheaply as often as it asks."""
        looked = 0.0
        zone = ZoneInfo(settings.timezone) if settings else UTC
        reason = ""

        def look() -> str:
            nonlocal looked, reason
            if self.draining.is_set():
                return "the daemon is stopping"
            if run_id in self._cancelled:
                return "cancelled"
            if time.monotonic() - looked < _LEDGER_LOOK_S:
                return reason
            looked = time.monotonic()
            run = self.ledger.run(run_id)
            if run is None or run.state not in OPEN_STATES:
                reason = "cancelled"
            elif settings is not None and isinstance(zone, ZoneInfo):
                window = opening(settings.window, zone, self.now())
                reason = "" if window.is_open else "its window has closed"
            return reason

        return look

    def _wait_for_pause(self, place: Place, stop: Callable[[], str]) -> None:
        pause = place.remote.settings.pause
        if pause and self._shared:  # the pause counts over all daemons
            name = place.remote.name
            jobs = [job for job, one in self.settings.retrievals.items() if one.remote == name]
            last = self.ledger.last_ended(jobs, self._clock() - pause)
            place.pause_until = max(place.pause_until, last + pause)
        while place.pause_until > self._clock():
            if reason := stop():
                raise Interrupted(reason)
            time.sleep(min(0.1, max(0.0, place.pause_until - self._clock())))

    def _wait_until(self, moment: float, run_id: str) -> bool:
        """Wait; False when the run is not to go on."""
        stop = self._interruption(run_id, None)
        while self._clock() < moment:
            if stop():
                return False
            self.draining.wait(0.1)
        return not stop()


def back_off(retry: RetrySettings, attempt: int) -> float:
    """Seconds before the pass after ``attempt`` (from 1): growing, bounded, a fifth of jitter."""
    delay: float = min(retry.most, retry.first * retry.factor ** (attempt - 1))
    return delay * random.uniform(0.8, 1.2)
