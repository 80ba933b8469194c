"""One association without a socket: events -> services -> bytes to send.

The shell hands in what it read and sends what ``take_outgoing`` gives; clocks, sockets and threads
are its business. A session answers at once, but for an object whose commit may wait for a disk:
then ``pending`` is set, the commit is submitted, and the shell reads no more from this peer until
``resumed`` has been called. What the peer sent along in the same read (it may not, DIMSE being
synchronous, but some do) is copied and held back meanwhile; that is at most one receive buffer.

``strict`` adds the checks that DCMTK's receiver does not make, and answers with a status where
that aborts. All else, limits and order above all, is the same in both.
"""

import time
from collections.abc import Callable, Sequence
from logging import DEBUG, INFO
from typing import Any, assert_never

from dicomd.acceptor.narration import command_facts, command_name, request_facts, shown
from dicomd.acceptor.negotiation import Acceptance, Notice, Refusal
from dicomd.acceptor.operation import Dropped, Operation
from dicomd.acceptor.services import Services
from dicomd.acceptor.storage_scp import Reception, StorageScp
from dicomd.acceptor.verification_scp import answer_echo
from dicomd.dimse import status
from dicomd.dimse.codec import decode_command, encode_response
from dicomd.dimse.commands import (
    CCancelRequest,
    CEchoRequest,
    Command,
    CommandError,
    CStoreRequest,
    OtherRequest,
    ResponseReceived,
)
from dicomd.errors import RemoteProtocolError
from dicomd.upper_layer.association import Association
from dicomd.upper_layer.events import (
    Aborted,
    AssociationRequested,
    CommandReceived,
    DatasetReceived,
    Event,
    PeerClosed,
    ReleaseRequested,
)
from dicomd.upper_layer.framing import announces_dataset

SERVICE_USER = 0  # PS3.8 9.3.8, source of an A-ABORT
SERVICE_PROVIDER = 2


class Session:
    """One association, seen from the acceptor. Mutable: its protocol core and its operation."""

    __slots__ = (
        "_abstract_syntaxes",
        "_cut_context",
        "_debug",
        "_held",
        "_log",
        "_operation",
        "_operation_context",
        "_services",
        "_slot",
        "_started",
        "_storage",
        "_transfer_syntaxes",
        "association",
        "called_ae_title",
        "calling_ae_title",
        "certificate",
        "ended",
        "established",
        "host",
        "host_name",
        "hung_up",
        "identity",
        "pending",
        "resume",
    )

    def __init__(
        self, services: Services, *, identity: str, host: str, certificate: str | None = None
    ) -> None:
        self._services = services
        self.association = Association(max_pdu=services.max_pdu, strict=services.strict)
        self.identity = identity
        self.host = host
        self.host_name = ""
        self.certificate = certificate
        self.calling_ae_title = ""
        self.called_ae_title = ""
        self._cut_context = 0
        self.established = False
        """Accepted, and neither released nor aborted since."""
        self.ended = False
        """Nothing more will be done for this peer but to send what is left and close."""
        self.hung_up = False
        """The peer aborted or is gone: there is nobody to send to."""
        self.pending = False
        self.resume: Callable[[], None] | None = None
        """What the shell wants to be called after a pending commit was answered."""
        self._log = services.log
        self._debug = False
        self._slot = -1
        self._started = time.monotonic()
        self._operation: Operation | None = None
        self._operation_context = 0
        self._storage: StorageScp | None = None
        self._held: list[Event] = []
        self._transfer_syntaxes: dict[int, str] = {}
        self._abstract_syntaxes: dict[int, str] = {}

    @property
    def busy(self) -> bool:
        """A message is under way: its clock is that of DIMSE, not that of idleness."""
        return self._operation is not None or self.association.in_message

    @property
    def at_rest(self) -> bool:
        """Between two messages: the clock is that of idleness."""
        return self._operation is None and self.association.at_rest

    @property
    def stored(self) -> int:
        """Objects stored."""
        return self._storage.stored if self._storage is not None else 0

    @property
    def stored_bytes(self) -> int:
        """Bytes of the files of those objects."""
        return self._storage.stored_bytes if self._storage is not None else 0

    @property
    def age_s(self) -> float:
        """Seconds since the association was accepted, or the connection taken."""
        return time.monotonic() - self._started

    def receive(self, view: memoryview) -> None:
        """Take what was read from the peer; ``view`` is lent until this returns."""
        events = self.association.receive(view)
        if events:
            if self.pending:
                self._hold(events)
                return
            self._process(events)
        if self.association.fault is not None and not self.pending:
            self._broken(self.association.fault)

    def receive_eof(self) -> None:
        """The transport connection is gone, closed or broken."""
        events = self.association.receive_eof()
        if self.pending:
            self._hold(events)
        else:
            self._process(events)

    def take_outgoing(self) -> bytes:
        """What to send now; b"" for nothing."""
        return self.association.take_outgoing()

    def abort(self, source: int, cause: str, reason: int = 0) -> None:
        """Abort of our own accord: a clock, a shutdown. Nothing happens when it is over."""
        if not self.association.closing:
            self.association.abort(source, reason)
        self._discard()
        self._end("aborted", cause, by="us")

    def abandon(self, cause: str) -> None:
        """The shell gives this peer up: nothing can be sent any more."""
        if self.ended:
            return
        self.hung_up = True
        self.association.receive_eof()
        self._discard()
        self._end("aborted", cause, by="us")

    def _process(self, events: Sequence[Event]) -> None:
        for place, event in enumerate(events):
            if type(event) is DatasetReceived:
                operation = self._operation
                if operation is None:
                    continue  # Follows an abort of ours.
                if event.spans:
                    operation.write(event.spans)
                if event.last:
                    self._finish(operation)
            elif type(event) is CommandReceived:
                self._command(event)
            else:
                self._transition(event)
            if self.pending and place + 1 < len(events):
                self._hold(events[place + 1 :])
                return
            if self.ended:
                return

    def _transition(self, event: Event) -> None:
        """What happens once or twice in an association."""
        match event:
            case AssociationRequested():
                self._request(event)
            case ReleaseRequested():
                self._discard()
                self.association.release()
                self._end("released", "")
            case Aborted():
                self.hung_up = True
                self._discard()
                self._end("aborted", "aborted by the peer", by="peer")
            case PeerClosed():
                self.hung_up = True
                self._discard()
                self._end("aborted", "connection closed by the peer", by="peer")
            case CommandReceived() | DatasetReceived():
                raise AssertionError("handled before")
            case _:
                assert_never(event)

    def _request(self, event: AssociationRequested) -> None:
        request = event.request
        services = self._services
        self.calling_ae_title = shown(request.calling_ae_title)
        self.called_ae_title = shown(request.called_ae_title)
        facts: dict[str, Any] = {
            "association": self.identity,
            "peer": self.host,
            "calling_ae": self.calling_ae_title,
            "called_ae": self.called_ae_title,
        }
        if self.host_name:
            facts["peer_name"] = self.host_name
        if self.certificate is not None:
            facts["certificate"] = self.certificate
        self._log = services.log.bind(**facts)
        self._debug = bool(self._log.is_enabled_for(DEBUG))
        if self._debug:
            self._log.debug(
                "association.requested",
                **request_facts(request),
                **services.negotiator.own_parameters,
            )
        answer = services.negotiator.refuse(request) or services.access.refuse(
            calling_ae_title=request.calling_ae_title,
            called_ae_title=request.called_ae_title,
            host=self.host,
            certificate=self.certificate,
        )
        if answer is None and services.admits_host and not services.admits_host(self.host):
            answer = Refusal(1, 1, 3, "host not allowed by hosts_access")
        if answer is None:
            negotiated = services.negotiator.negotiate(request, event.encoded)
            self._notice(negotiated.notices, facts)
            if isinstance(negotiated, Refusal):
                answer = negotiated
            else:
                slot = services.admission.enter(self.host)
                if isinstance(slot, int):
                    self._slot = slot
                    self._accept(negotiated, len(request.contexts))
                    return
                answer = slot
        self.association.reject(answer.result, answer.source, answer.reason)
        services.counters.rejected += 1
        self.ended = True
        self._log.warning(
            "association.rejected",
            result=answer.result,
            source=answer.source,
            code=answer.reason,
            reason=answer.cause,
        )

    def _accept(self, acceptance: Acceptance, proposed: int) -> None:
        services = self._services
        self.association.accept(
            acceptance.answer, acceptance.transfer_syntaxes, acceptance.peer_max_pdu
        )
        self.established = True
        self._started = time.monotonic()
        self._transfer_syntaxes = dict(acceptance.transfer_syntaxes)
        self._abstract_syntaxes = dict(acceptance.abstract_syntaxes)
        self._storage = StorageScp(
            sink=services.sink,
            counters=services.counters,
            recorder=services.recorder,
            log=self._log,
            strict=services.strict,
            calling_ae_title=self.calling_ae_title,
            called_ae_title=self.called_ae_title,
            peer=self.host,
            association=self.identity,
            says_stored=bool(self._log.is_enabled_for(INFO)),
        )
        services.counters.accepted += 1
        facts: dict[str, Any] = {}
        if self._debug:
            facts["results"] = [
                [result.context_id, result.result, result.transfer_syntax]
                for result in acceptance.results
            ]
            facts["roles"] = {uid: list(role) for uid, role in acceptance.roles.items()}
        self._log.info(
            "association.accepted",
            contexts=f"{len(acceptance.transfer_syntaxes)} of {proposed}",
            max_pdu=acceptance.peer_max_pdu,
            **facts,
        )

    def _notice(self, notices: Sequence[Notice], facts: dict[str, Any]) -> None:
        for notice in notices:
            log = self._services.negotiation_log
            (log.error if notice.level == "error" else log.warning)(
                "negotiation.role_mismatched",
                **facts,
                sop_class=notice.sop_class,
                configured=notice.configured,
                proposed=notice.proposed,
            )

    def _command(self, event: CommandReceived) -> None:
        context_id = event.context_id
        try:
            command = decode_command(event.command)
        except CommandError as error:
            self._bad_command(event, error)
            return
        if self._debug:
            self._log.debug("message.received", **command_facts(command, context_id))
        if type(command) is CStoreRequest:
            assert self._storage is not None, "commands come only after the acceptance"
            self._operation_context = context_id
            self._operation = self._storage.begin(
                context_id,
                self._abstract_syntaxes[context_id],
                self._transfer_syntaxes[context_id],
                command,
            )
            return
        self._serve(command, context_id, event)

    def _serve(self, command: Command, context_id: int, event: CommandReceived) -> None:
        """Everything but C-STORE."""
        match command:
            case CEchoRequest():
                self._operation_context = context_id
                self._operation = answer_echo(
                    command,
                    self._abstract_syntaxes[context_id],
                    strict=self._services.strict,
                    counters=self._services.counters,
                    log=self._log,
                )
            case CCancelRequest() | ResponseReceived() if self._services.strict:
                # Nothing of ours can be cancelled, and nobody waits for a response.
                self._log.info("message.ignored", command=command_name(command))
                if not announces_dataset(event.command):
                    return
                self._operation_context = context_id
                self._operation = Dropped(command_name(command), status.SUCCESS, b"")
            case OtherRequest() if self._services.strict and command.message_id is not None:
                self._services.counters.statuses[status.UNRECOGNIZED_OPERATION] += 1
                self._log.warning(
                    "message.refused",
                    command=command_name(command),
                    status=f"{status.UNRECOGNIZED_OPERATION:04X}",
                )
                self._operation_context = context_id
                self._operation = Dropped(
                    command_name(command),
                    status.UNRECOGNIZED_OPERATION,
                    encode_response(
                        command.command_field,
                        command.message_id,
                        command.sop_class_uid,
                        status.UNRECOGNIZED_OPERATION,
                    ),
                )
            case CStoreRequest():
                raise AssertionError("handled before")
            case CCancelRequest() | ResponseReceived() | OtherRequest():
                self._log.error("message.refused", command=command_name(command), status="")
                self.abort(SERVICE_USER, f"a command that is not served: {command_name(command)}")
                return
            case _:
                assert_never(command)
        if not announces_dataset(event.command):
            self._finish(self._operation)

    def _bad_command(self, event: CommandReceived, error: CommandError) -> None:
        """A command set that cannot be served as it is."""
        self._log.error(
            "message.refused",
            command=f"{error.command_field:04X}",
            status="" if error.status is None else f"{error.status:04X}",
            reason=str(error),
        )
        if not self._services.strict or error.status is None or error.message_id is None:
            self.abort(SERVICE_USER, f"a command that cannot be answered: {error}")
            return
        self._services.counters.statuses[error.status] += 1
        self._operation_context = event.context_id
        operation = Dropped(
            f"{error.command_field:04X}",
            error.status,
            encode_response(
                error.command_field,
                error.message_id,
                error.sop_class_uid,
                error.status,
                sop_instance_uid=error.sop_instance_uid,
            ),
        )
        self._operation = operation
        if not error.has_dataset:
            self._finish(operation)

    def _finish(self, operation: Operation) -> None:
        """The message is whole."""
        if operation.waits:
            self.pending = True
            self._services.submit(operation.commit, self._committed)
        else:
            operation.commit()
            self._conclude(operation)

    def _committed(self) -> None:
        """A helper thread has done its part. On the event loop."""
        self.pending = False
        operation = self._operation
        if operation is not None:
            self._conclude(operation)
        held, self._held = self._held, []
        if held and not self.ended:
            self._process(held)
        if self.association.fault is not None and not self.pending and not self.ended:
            self._broken(self.association.fault)
        if self.resume is not None:
            self.resume()

    def _conclude(self, operation: Operation) -> None:
        self._operation = None
        response = operation.conclude()
        if response is None:
            self.abort(SERVICE_USER, "a data set that cannot be kept")
            return
        if response and not self.association.closing:
            self.association.send_command(self._operation_context, response)
            if self._debug:
                self._log.debug(
                    "response.sent",
                    command=operation.command,
                    context=self._operation_context,
                    status=f"{operation.status:04X}",
                )

    def _hold(self, events: Sequence[Event]) -> None:
        """Keep events back, with bytes of their own: the buffer is about to be read into."""
        for event in events:
            if isinstance(event, DatasetReceived):
                event = DatasetReceived(
                    event.context_id, [memoryview(bytes(span)) for span in event.spans], event.last
                )
            self._held.append(event)

    def _broken(self, fault: RemoteProtocolError) -> None:
        """The peer broke the protocol; the core has its A-ABORT ready."""
        self._discard()
        self._end("aborted", str(fault), by="us", code=fault.reason)

    def _discard(self) -> None:
        if self._operation is not None and not self.pending:
            if isinstance(self._operation, Reception):
                self._cut_context = self._operation_context
            self._operation.discard()
            self._operation = None

    def _end(self, how: str, cause: str, **facts: Any) -> None:
        """Give back the slot and write the closing line, once."""
        if self.ended:
            return
        self.ended = True
        services = self._services
        if not self.established:
            log = services.log.bind(association=self.identity, peer=self.host)
            # A peer that only connects and closes is a port check; all else is worth a look.
            (log.debug if facts.get("by") == "peer" else log.warning)(
                "connection.failed", reason=cause
            )
            return
        self.established = False
        services.admission.leave(self._slot)
        facts["objects"] = self.stored
        facts["bytes"] = self.stored_bytes
        facts["seconds"] = round(self.age_s, 3)
        if how == "released":
            services.counters.released += 1
            self._log.info("association.released", **facts)
        else:
            services.counters.aborted += 1
            if self._cut_context:
                facts["cut_context"] = self._cut_context
            self._log.warning("association.aborted", reason=cause, **facts)
