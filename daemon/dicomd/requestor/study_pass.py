"""One pass over one study: what is promised, what is missing, C-MOVEs for that, and the verdict.

Safe to run twice: what is on disk is never asked for again, so a pass that a crash has cut is
simply begun anew.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dicomd.errors import MoveError
from dicomd.query.dictionary import Dictionary
from dicomd.query.identifier import Identifier, encode
from dicomd.query.keys import apply_keys, parse_key
from dicomd.requestor.arrivals import Arrivals, Expectation
from dicomd.requestor.association import AssociationFailed
from dicomd.requestor.completion import Portion, Verdict, judge, portions
from dicomd.requestor.find_scu import (
    PATIENT_ID,
    SERIES_UID,
    STUDY_UID,
    FindFailed,
    retrieve_identifier,
)
from dicomd.requestor.messages import PRIORITIES, Response
from dicomd.requestor.move_scu import (
    MOVE_CLASSES,
    SUCCESS,
    WARNING,
    MoveOutcome,
    MoveRequest,
    Watch,
    move,
)
from dicomd.requestor.remote import FIND_CONTEXT_ID, MOVE_CONTEXT_ID, Line, Remote
from dicomd.settings.retrieval import RetrievalSettings

_POLL_S = 0.005
_SPOOL_LAG_S = 0.5
"""Receipts are read this much later at most, on a machine that is busy."""
_MOST_SINGLE_REQUESTS = 200
_FRESH_S = 60.0
"""How long a promise holds while its study waits for its turn."""


class Interrupted(MoveError):  # noqa: N818 - reads as what happened
    """The pass was stopped on purpose: window, cancel or the daemon's end. Not a failure."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retryable=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What a pass came to. ``state``: verified, reported, or missing."""

    state: str
    promised: int | None = None
    present: int | None = None
    missing: tuple[str, ...] = ()
    reason: str = ""
    moves: int = 0
    retryable: bool = True


@dataclass(slots=True, kw_only=True)
class StudyPass:
    """Everything one pass needs. ``interruption`` says why it should stop, "" to go on."""

    remote: Remote
    settings: RetrievalSettings
    destination: str
    """AE title that the remote sends to."""
    ours: bool
    """The destination is a listener of ours: what arrives can be verified."""
    level: str
    keys: dict[int, str]
    arrivals: Arrivals
    interruption: Callable[[], str]
    job: str = ""
    run_id: str = ""
    known_missing: tuple[str, ...] = ()
    """What an earlier pass has missed; still promised, even if the archive names it no more."""
    moves: int = 0
    _promised: dict[str, str] | None = None
    """What the archive said when it was asked ahead, what of it was here, and when (monotonic
    seconds)."""
    _present: set[str] = field(default_factory=set)
    _asked: float = 0.0
    _fault: MoveError | None = None

    def look_ahead(self) -> None:
        """Ask what the archive promises before it is this study's turn; ``run`` uses that, unless
        it is stale by then. AssociationFailed and Interrupted as there; other faults are its
        result."""
        if not self._wants_instances():
            return
        try:
            with self.remote.line(self.settings.model, self._check) as line:
                if FIND_CONTEXT_ID in line.association.accepted:
                    self._promised = self._ask(line)
                    self._asked = time.monotonic()
            if self._promised:
                self._present = self.arrivals.on_disk(self._promised, {})
        except (AssociationFailed, Interrupted):
            raise
        except MoveError as exc:
            self._fault = exc

    def _wants_instances(self) -> bool:
        return self.ours and self.settings.verify == "instances" and self._has_unique_keys()

    def run(self) -> PassResult:
        """AssociationFailed: the remote could not be reached. Interrupted: stopped on purpose."""
        if self._fault is not None:
            return self._broken(self._fault)
        try:
            with self.remote.line(self.settings.model, self._check) as line:
                if self._wants_instances():
                    return self._by_instances(line)
                if self.ours and self.settings.verify == "counts" and self.keys.get(STUDY_UID):
                    return self._by_counts(line)
                return self._unverified(line)
        except (AssociationFailed, Interrupted):
            raise
        except MoveError as exc:
            return self._broken(exc)

    def _broken(self, exc: MoveError) -> PassResult:
        """The association broke, or the remote refused to say what it has."""
        return PassResult(
            state="missing",
            missing=self.known_missing,
            reason=str(exc),
            moves=self.moves,
            retryable=exc.retryable,
        )

    def _has_unique_keys(self) -> bool:
        return bool(self.keys.get(STUDY_UID) or self.keys.get(PATIENT_ID))

    def _by_instances(self, line: Line) -> PassResult:
        promised = self._promised
        asked_ahead = promised is not None and time.monotonic() - self._asked <= _FRESH_S
        if promised is None or not asked_ahead:
            promised = self._ask(line)
        if not promised:
            return PassResult(
                state="missing", promised=0, present=0, reason="the archive lists no instances"
            )
        studies = self.keys.get(STUDY_UID, "").split("\\")
        with self.arrivals.expect(promised, studies) as expectation:
            present = self._present
            if not asked_ahead:
                present = self.arrivals.on_disk(promised, expectation.arrived)
            verdict = judge(promised, present)
            reason = ""
            if verdict.missing:
                reason = self._fetch(line, promised, verdict, expectation, present)
                present |= self.arrivals.on_disk(verdict.missing, expectation.arrived)
                self.arrivals.credit(expectation.arrived, self.job, self.run_id)
                verdict = judge(promised, present)
        return PassResult(
            state="verified" if verdict.is_complete else "missing",
            promised=verdict.promised,
            present=verdict.present,
            missing=verdict.missing,
            reason="" if verdict.is_complete else reason or "the archive did not send them",
            moves=self.moves,
        )

    def _ask(self, line: Line) -> dict[str, str]:
        finder = line.finder(self.remote.settings.dimse_timeout, self._check)
        promised = finder.instances_of(self.keys)
        line.next_message_id = finder.next_message_id
        for uid in self.known_missing:
            promised.setdefault(uid, self.keys.get(SERIES_UID, ""))
        return promised

    def _fetch(
        self,
        line: Line,
        promised: dict[str, str],
        verdict: Verdict,
        expectation: Expectation,
        present: set[str],
    ) -> str:
        """Ask for what is missing; returns why it may not have come."""
        reason = ""
        for portion in portions(self.level, self.keys, promised, verdict.missing):
            before = len(expectation.arrived)
            outcome = self._move(line, portion, expectation)
            if outcome.status not in (SUCCESS, WARNING):
                reason = f"C-MOVE ended with status {outcome.status:04X}H"
            elif outcome.failed:
                reason = f"the archive failed to send {outcome.failed}"
            self._settle(outcome, portion, expectation, before)
            takes_no_lists = (
                portion.level == "IMAGE"
                and portion.brings > 1
                and len(expectation.arrived) == before
                and portion.brings <= _MOST_SINGLE_REQUESTS
            )
            if takes_no_lists:
                left = [uid for uid in verdict.missing if uid not in expectation.arrived]
                for single in portions(self.level, self.keys, promised, left, one_by_one=True):
                    if single.level == "IMAGE":
                        before = len(expectation.arrived)
                        outcome = self._move(line, single, expectation)
                        self._settle(outcome, single, expectation, before)
                return reason
        return reason

    def _settle(
        self, outcome: MoveOutcome, portion: Portion, expectation: Expectation, before: int
    ) -> None:
        """Wait for objects that come behind the last response. Arrivals keep the clock alive; what
        the archive does not claim to have sent is not waited for."""
        if outcome.status in (SUCCESS, WARNING) and outcome.completed is None:
            claimed = portion.brings
        else:
            claimed = outcome.claimed
        ended = time.monotonic()
        self.arrivals.read_now()
        while len(expectation.arrived) - before < portion.brings:
            quiet = time.monotonic() - max(ended, expectation.last)
            short = len(expectation.arrived) - before < claimed
            if quiet > (self.settings.settle if short else min(_SPOOL_LAG_S, self.settings.settle)):
                return
            self._check()
            time.sleep(_POLL_S)
            self.arrivals.read_now()

    def _by_counts(self, line: Line) -> PassResult:
        finder = line.finder(self.remote.settings.dimse_timeout, self._check)
        study = self.keys[STUDY_UID]
        promised = finder.count_of({tag: self.keys[tag] for tag in self.keys if tag <= STUDY_UID})
        line.next_message_id = finder.next_message_id
        if promised is None:
            raise FindFailed(
                "the archive does not count the instances of a study; verify instances"
            )
        present = self.arrivals.count(study)
        reason = ""
        if present < promised:
            with self.arrivals.expect((), (study,)) as expectation:
                portion = Portion(self.level, self.keys, promised - present)
                outcome = self._move(line, portion, expectation)
                if outcome.status not in (SUCCESS, WARNING):
                    reason = f"C-MOVE ended with status {outcome.status:04X}H"
                ended = time.monotonic()
                while present < promised:
                    if time.monotonic() - max(ended, expectation.last) > self.settings.settle:
                        break
                    self._check()
                    time.sleep(_SPOOL_LAG_S / 2)
                    present = self.arrivals.count(study)
        complete = 0 < promised <= present
        if not complete and not reason:
            reason = f"{promised - present} of {promised} instances are missing"
        return PassResult(
            state="verified" if complete else "missing",
            promised=promised,
            present=min(present, promised),
            reason="" if complete else reason,
            moves=self.moves,
        )

    def _unverified(self, line: Line) -> PassResult:
        """What the archive says is all there is: a third party's objects, or no promise to hold."""
        with self.arrivals.expect((), self.keys.get(STUDY_UID, "").split("\\")) as expectation:
            outcome = self._move(line, Portion(self.level, self.keys, 0), expectation)
        fine = outcome.status in (SUCCESS, WARNING) and not outcome.failed
        reason = "" if fine else f"C-MOVE ended with status {outcome.status:04X}H"
        if outcome.failed:
            reason = f"the archive failed to send {outcome.failed}"
        return PassResult(
            state="reported" if fine else "missing",
            promised=(outcome.claimed + (outcome.failed or 0)) or None,
            present=outcome.claimed or None,
            missing=outcome.failed_uids,
            reason=reason,
            moves=self.moves,
        )

    def _move(self, line: Line, portion: Portion, expectation: Expectation) -> MoveOutcome:
        association = line.association
        transfer_syntax = association.accepted.get(MOVE_CONTEXT_ID)
        if transfer_syntax is None:
            raise MoveError("the remote accepts no C-MOVE of this model", retryable=False)
        self.moves += 1
        reasons: list[str] = []

        def should_cancel() -> bool:
            reason = self.interruption()
            if reason:
                reasons.append(reason)
            return bool(reason)

        def alive() -> float:
            return expectation.last

        def on_response(number: int, response: Response) -> None:
            del number, response

        outcome = move(
            association,
            MoveRequest(
                context_id=MOVE_CONTEXT_ID,
                sop_class_uid=MOVE_CLASSES[self.settings.model],
                message_id=line.take_message_id(),
                destination=self.destination,
                identifier=encode(self._identifier(portion), transfer_syntax),
                priority=PRIORITIES[self.settings.priority],
                timeout=self.settings.timeout,
            ),
            Watch(on_response=on_response, alive=alive, should_cancel=should_cancel),
        )
        if reasons:
            raise Interrupted(reasons[0])
        return outcome

    def _identifier(self, portion: Portion) -> Identifier:
        if self.settings.keys:
            identifier = Identifier()
            texts = [f"{name}={value}" for name, value in self.settings.keys.items()]
            apply_keys(identifier, [parse_key(text, Dictionary()) for text in texts])
            if portion.keys is not self.keys:
                return retrieve_identifier(portion.level, dict(portion.keys))
            return identifier
        return retrieve_identifier(portion.level, dict(portion.keys))

    def _check(self) -> float:
        reason = self.interruption()
        if reason:
            raise Interrupted(reason)
        return 0.0
