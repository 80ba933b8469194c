"""``dicomd move``: one C-MOVE association, as movescu runs it, and its exit code.

Runs in a child of the supervisor; the objects arrive at the listener beside it. Measured on DCMTK
3.6.7: two presentation contexts (FIND, then MOVE), message ids from 1, one request after another, a
bad status does not stop the sequence, a broken association does. Other than movescu, a retrieval
that broke is not an exit code of 0.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog

from dicomd.errors import MoveError
from dicomd.lifeline import HEARTBEAT_S, Activity, Lifeline
from dicomd.query.dictionary import Dictionary, QueryError, read_dictionaries
from dicomd.query.files import read_query_file
from dicomd.query.identifier import Identifier, encode
from dicomd.query.keys import Key, apply_keys, parse_key, repeated_keys
from dicomd.requestor.association import (
    Association,
    AssociationEnded,
    AssociationFailed,
    Call,
    describe_rejection,
    open_association,
)
from dicomd.requestor.messages import Response
from dicomd.requestor.move_scu import (
    CANCELLED,
    FIND_CLASSES,
    MOVE_CLASSES,
    SUCCESS,
    WARNING,
    MoveOutcome,
    MoveRequest,
    Watch,
    move,
)
from dicomd.requestor.progress import Bar, Dots, Progress
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.move import MoveSettings
from dicomd.storage.part10 import DCMTK_CLASS_UID, DCMTK_VERSION_NAME

log = structlog.get_logger("dicomd.requestor")

EXIT_OK = 0
EXIT_INTERNAL = 65
EXIT_ASSOCIATION = 61
EXIT_NO_CONTEXT = 66
EXIT_RELEASE = 67
EXIT_WARNING = 68
EXIT_MOVE = 69
"""movescu's codes; 69 also where movescu ends with 0 in spite of a broken retrieval."""

_MOVE_CONTEXT_ID = 3


@dataclass(slots=True)
class Orders:
    """The lifeline, served by a thread of its own: heartbeats up, the order to stop down."""

    lifeline: Lifeline
    stop: threading.Event = field(default_factory=threading.Event)

    def serve(self) -> None:
        """Until the process ends. A lifeline that closes ends it at once."""
        last = 0.0
        while True:
            if time.monotonic() - last >= HEARTBEAT_S:
                last = time.monotonic()
                self.lifeline.send({"report": "alive", "counters": {}})
            for message in self.lifeline.receive():
                if message.get("order") in ("stop", "drain"):
                    self.stop.set()
                elif message.get("order") == "ask":
                    self.lifeline.send({"report": "answer", "id": message.get("id"), "result": {}})
            if self.lifeline.closed:
                os._exit(EXIT_INTERNAL)
            time.sleep(0.05)


def run(settings: DaemonSettings, lifeline: Lifeline, activity: Activity | None = None) -> int:
    """Run ``settings.once`` to its end; returns movescu's exit code."""
    orders = Orders(lifeline)
    if settings.once is None:
        lifeline.send({"report": "failed", "text": "no retrieval to run"})
        return EXIT_INTERNAL
    lifeline.send({"report": "ready"})
    threading.Thread(target=orders.serve, name="lifeline", daemon=True).start()
    return Retrieval(settings.once, orders, activity).run()


class Retrieval:
    """The requests of one command line. Mutable: the worst status, what arrived when."""

    def __init__(
        self, settings: MoveSettings, orders: Orders, activity: Activity | None = None
    ) -> None:
        self._settings = settings
        self._orders = orders
        self._activity = activity
        self._reads = 0
        self._last_arrival = 0.0
        self._progress = _progress_of(settings)
        self._exit_code = EXIT_OK
        self._message_id = 0
        self._dictionary = Dictionary()

    def run(self) -> int:
        """Associate, send every request, release."""
        settings = self._settings
        log.debug("call.requested", called_ae=settings.called_ae_title)
        try:
            keys = self._keys()
            association = open_association(self._call(), alive=self._tick)
        except AssociationFailed as exc:
            log.error("call.failed", reason=_refusal(exc))  # noqa: TRY400 - an answer, no fault of ours
            return EXIT_NO_CONTEXT if exc.no_contexts else EXIT_ASSOCIATION
        except QueryError as exc:
            log.error("move.failed", reason=str(exc))  # noqa: TRY400 - an answer, no fault of ours
            return 1
        with association:
            log.debug("call.accepted", max_send_pdv=association.max_send_pdv)
            try:
                for identifier in self._identifiers(keys):
                    self._request(association, identifier)
            except (MoveError, QueryError) as exc:
                # movescu says this and ends with 0; nobody can rely on that.
                self._progress.finish()
                what = "Move Request" if isinstance(exc, AssociationEnded) else "Move SCU"
                log.error("move.failed", reason=f"{what} Failed: {exc}")  # noqa: TRY400 - an answer
                if isinstance(exc, AssociationEnded) and exc.by_peer:
                    association.close()
                else:
                    log.debug("call.aborted")
                    association.abort()
                return EXIT_MOVE
            self._progress.finish()
            return self._end(association)

    def _end(self, association: Association) -> int:
        if self._settings.abort:
            log.debug("call.aborted")
            association.abort()
            return self._exit_code
        try:
            log.debug("call.released")
            association.release()
        except MoveError as exc:
            log.error("call.failed", reason=f"Association Release Failed: {exc}")  # noqa: TRY400 - an answer, no fault of ours
            return EXIT_RELEASE
        return self._exit_code

    def _call(self) -> Call:
        settings = self._settings
        return Call(
            host=settings.host,
            port=settings.port,
            called_ae_title=settings.called_ae_title,
            calling_ae_title=settings.calling_ae_title,
            contexts=(
                (FIND_CLASSES[settings.model], settings.transfer_syntaxes),
                (MOVE_CLASSES[settings.model], settings.transfer_syntaxes),
            ),
            max_pdu=settings.max_pdu,
            connect_timeout=settings.connect_timeout,
            acse_timeout=settings.acse_timeout,
            implementation_class_uid=DCMTK_CLASS_UID,
            implementation_version_name=DCMTK_VERSION_NAME,
        )

    def _keys(self) -> list[Key]:
        dictionary, complaints = read_dictionaries(self._settings.dictionaries)
        self._dictionary = dictionary
        for complaint in complaints:
            log.warning("query.doubted", reason=complaint)
        keys = [parse_key(text, dictionary) for text in self._settings.keys]
        for tag in repeated_keys(keys):
            log.warning(
                "query.doubted",
                reason=f"more than one key for ({tag >> 16:04x},{tag & 0xFFFF:04x}): "
                "the leftmost counts",
            )
        return keys

    def _identifiers(self, keys: list[Key]) -> Iterator[Identifier]:
        """For each query file, or once without any: ``repeat`` times the identifier."""
        for path in self._settings.query_files or ("",):
            identifier = read_query_file(path, self._dictionary) if path else Identifier()
            apply_keys(identifier, keys)
            for _ in range(self._settings.repeat):
                yield identifier

    def _request(self, association: Association, identifier: Identifier) -> None:
        settings = self._settings
        transfer_syntax = association.accepted.get(_MOVE_CONTEXT_ID)
        if transfer_syntax is None:
            raise MoveError("No presentation context for C-MOVE was accepted", retryable=False)
        self._message_id = self._message_id % 0xFFFF + 1
        log.debug("move.requested", message_id=self._message_id)
        request = MoveRequest(
            context_id=_MOVE_CONTEXT_ID,
            sop_class_uid=MOVE_CLASSES[settings.model],
            message_id=self._message_id,
            destination=settings.destination_ae_title,
            identifier=encode(identifier, transfer_syntax),
            timeout=settings.dimse_timeout,
            cancel_after=settings.cancel_after,
            pending_dataset=settings.pending_dataset,
        )
        watch = Watch(
            on_response=self._responded,
            on_cancel=lambda: log.debug("move.cancelled", message_id=self._message_id),
            alive=self._tick,
            should_cancel=self._orders.stop.is_set,
        )
        self._judge(move(association, request, watch))

    def _responded(self, number: int, response: Response) -> None:
        self._progress.response(response)
        if response.is_pending:
            log.debug("move.answered", number=number, status=f"{response.status:04X}")
            if response.has_dataset:
                log.warning("move.doubted", reason="pending response announces a data set")

    def _judge(self, outcome: MoveOutcome) -> None:
        """The worst of all statuses makes the exit code; a cancelled one is no failure."""
        status = f"{outcome.status:04X}"
        if outcome.status in (SUCCESS, CANCELLED):
            log.debug("move.ended", status=status)
        elif outcome.status == WARNING:
            log.warning("move.ended", status=status)
            self._exit_code = max(self._exit_code, EXIT_WARNING)
        else:
            log.warning("move.ended", status=status)
            self._exit_code = EXIT_MOVE
        if self._orders.stop.is_set():
            raise MoveError("stopped", retryable=True)

    def _tick(self) -> float:
        """When something last arrived at our listener; shows it, too."""
        if self._activity is not None:
            reads = self._activity.reads()
            if reads != self._reads:
                self._reads = reads
                self._last_arrival = time.monotonic()
            self._progress.arrived(reads, self._activity.objects())
        return self._last_arrival


def _refusal(failure: AssociationFailed) -> str:
    """Why there is no association, a rejection on lines as movescu has them."""
    if failure.rejection is None:
        return str(failure)
    placed, _, reason = describe_rejection(*failure.rejection).rpartition(", ")
    return f"Association Rejected:\n{placed}\n{reason}"


def _progress_of(settings: MoveSettings) -> Progress:
    if settings.progress == "dots":
        return Dots(sys.stdout)
    if settings.progress == "bar":
        return Bar(sys.stderr)
    return Progress()
