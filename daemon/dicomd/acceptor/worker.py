"""The acceptor's process: one listener, one epoll loop, helper threads for what blocks.

Rules of the loop: nothing in it waits but epoll; one read a peer a turn; deadlines are looked at
every ``TICK_S``. Siblings share the listening sockets (``gate``).

Orders and reports are those of ``lifeline``. ``drain`` with the reason ``reload`` lets
associations go on under the settings they began with; any other drain lets those go on that have
more to say, and aborts one that pauses (``FAREWELL_PAUSE_S``). Listening sockets are left alone:
they are the supervisor's.
"""

import gc
import secrets
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import structlog

from dicomd.acceptor.access import Access, is_network
from dicomd.acceptor.connection import Clocks, Connection, Surroundings
from dicomd.acceptor.counters import Counters
from dicomd.acceptor.gate import Gate
from dicomd.acceptor.helpers import Helpers
from dicomd.acceptor.hosts_access import NOT_ALLOWED, HostsAccess
from dicomd.acceptor.limits import AssociationLimits
from dicomd.acceptor.names import PeerNames
from dicomd.acceptor.negotiation import Negotiator
from dicomd.acceptor.services import Services
from dicomd.acceptor.session import Session
from dicomd.acceptor.storage_scp import Recorder
from dicomd.acceptor.tls import build_ssl_context
from dicomd.errors import DicomdError, StartError
from dicomd.lifeline import HEARTBEAT_S, Activity, Lifeline, Message, Scoreboard
from dicomd.settings.listener import ListenerSettings
from dicomd.settings.profile import VERIFICATION_ONLY
from dicomd.settings.storage import StoreSettings
from dicomd.storage.part10 import (
    DCMTK_CLASS_UID,
    DCMTK_VERSION_NAME,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
)
from dicomd.storage.receipts import ReceiptSpool
from dicomd.storage.sink import Receipt
from dicomd.storage.sinks import open_sink

TICK_S = 0.25
_BUFFER_BYTES = 256 << 10
_HELPER_THREADS = 8
_FAREWELL_S = 2.0
"""How long peers may take, once we are ending, to read our last word and close."""
log = structlog.get_logger("dicomd.acceptor")


@dataclass(kw_only=True)
class AcceptorBirth:
    """What a worker is born with, handed over at the fork.

    ``sockets`` are listening and non-blocking, and shared with the siblings. ``row`` is the
    worker's own row of the ``scoreboard``. ``receipts_directory`` is empty when nothing is kept
    of what was received. ``turn`` is called once a turn of the loop: log lines that were gathered
    go out there. ``activity``: where arrivals are counted for a retrieval that runs beside.
    """

    name: str
    listener: ListenerSettings
    store: StoreSettings
    sockets: Sequence[socket.socket]
    lifeline: Lifeline
    scoreboard: Scoreboard
    row: int
    receipts_directory: str
    generation: int
    turn: Callable[[], None] | None = None
    activity: Activity | None = None


def run(birth: AcceptorBirth) -> int:
    """Serve until the lifeline says otherwise; in the forked child. Returns the exit code."""
    try:
        worker = Worker(birth)
    except (DicomdError, OSError, ValueError) as error:
        log.error(  # noqa: TRY400 - expected, no traceback
            "worker.failed", listener=birth.name, reason=str(error)
        )
        birth.lifeline.send({"report": "failed", "text": str(error)})
        return 1
    gc.freeze()
    try:
        return worker.run()
    finally:
        worker.close()


class Worker:
    """The loop and all it holds. Mutable: connections, what is due when, what was ordered."""

    def __init__(
        self, birth: AcceptorBirth, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        settings = birth.listener
        self._birth = birth
        self._settings = settings
        self._clock = clock
        self._lifeline = birth.lifeline
        self._scoreboard = birth.scoreboard
        self._log = log.bind(listener=birth.name)
        self._counters = Counters()
        self._limits = AssociationLimits(birth.scoreboard, birth.row, settings.limits)
        self._ssl_context = None if settings.tls is None else build_ssl_context(settings.tls)
        self._helpers = Helpers(name=f"{birth.name}-helper", threads=_HELPER_THREADS, log=self._log)
        self._name_helpers = Helpers(name=f"{birth.name}-names", threads=1, log=self._log)
        limit = settings.limits.object_size
        self._sink = open_sink(
            birth.store,
            checks=settings.checks,
            implementation=settings.implementation,
            max_object_bytes=limit if isinstance(limit, int) else None,
        )
        self._spool = ReceiptSpool(birth.receipts_directory) if birth.receipts_directory else None
        self._activity = birth.activity
        self._shown = (0, 0)
        self._services = self._make_services()
        self._epoll = select.epoll()
        self._around = Surroundings(
            epoll=self._epoll,
            buffer=memoryview(bytearray(_BUFFER_BYTES)),
            clock=clock,
            clocks=Clocks.of(settings.timeouts),
            counters=self._counters,
            quick_ack=settings.quick_ack,
            log=self._log,
            changed=self._changed,
            closed=self._closed,
            unread=self._unread,
        )
        self._connections: dict[int, Connection] = {}
        self._strangers: dict[Connection, None] = {}
        """Connections without an association, the oldest first."""
        self._eager: list[Connection] = []
        self._prefix = secrets.token_hex(4)
        self._serial = 0
        # dcmrecv's words name the peer by themselves, in the log writer.
        wants_names = settings.host_names and settings.implementation == "dicomd"
        self._names = PeerNames(self._name_helpers, clock=clock) if wants_names else None
        self._gate = Gate(
            birth.sockets,
            epoll=self._epoll,
            clock=clock,
            siblings_turn=self._siblings_turn,
            alone=lambda: birth.scoreboard.lightest_load(birth.row) is None,
            taken=self._take,
            log=self._log,
        )
        self._beat_at = 0.0
        self._tick_at = 0.0
        self._drained_by: float | None = None
        """When a drain is over; None without one."""
        self._ending = False
        self._gone = False

    def run(self) -> int:
        """The loop."""
        self._epoll.register(self._lifeline.fileno(), select.EPOLLIN)
        self._epoll.register(self._helpers.fileno(), select.EPOLLIN)
        self._epoll.register(self._name_helpers.fileno(), select.EPOLLIN)
        self._gate.open()
        self._note_load()
        self._lifeline.send({"report": "ready"})
        poll, connections, clock = self._epoll.poll, self._connections, self._clock
        turn, gate = self._birth.turn, self._gate
        now = clock()
        while True:
            for fd, _ in poll(self._patience(now)):
                connection = connections.get(fd)
                if connection is not None:
                    self._serve(connection)
                else:
                    self._attend(fd)
            if self._eager:
                eager, self._eager = self._eager, []
                for connection in eager:
                    self._serve(connection)
            if turn is not None:
                turn()
            now = clock()
            if now >= gate.opens_at:
                gate.open()
            if now >= self._tick_at and self._tick():
                self._report()
                return 1 if self._gone else 0

    def close(self) -> None:
        """Let go of everything but the lifeline and the listening sockets."""
        for connection in list(self._connections.values()):
            connection.close()
        self._scoreboard.set_load(self._birth.row, None)
        self._helpers.close()
        self._name_helpers.close()
        self._sink.close()
        if self._spool is not None:
            self._spool.close()
        self._epoll.close()
        self._gate.release()

    def _make_services(self) -> Services:
        settings = self._settings
        as_dcmtk = settings.implementation != "dicomd"
        strict = settings.checks == "strict"
        access = settings.access
        return Services(
            sink=self._sink,
            negotiator=Negotiator(
                settings.negotiation or VERIFICATION_ONLY,
                max_pdu=settings.max_pdu,
                implementation_class_uid=DCMTK_CLASS_UID if as_dcmtk else IMPLEMENTATION_CLASS_UID,
                implementation_version_name=(
                    DCMTK_VERSION_NAME if as_dcmtk else IMPLEMENTATION_VERSION_NAME
                ),
                tolerant=not strict,
                accept_empty=settings.accept_empty,
            ),
            access=Access(access, strict=strict, resolved=_resolve(access.hosts)),
            admission=self._limits,
            admits_host=HostsAccess(access.hosts_access_name).admits
            if access.hosts_access
            else None,
            counters=self._counters,
            submit=self._helpers.submit,
            recorder=None if self._spool is None else self._recorder(self._spool),
            log=self._log,
            negotiation_log=structlog.get_logger("dicomd.negotiation").bind(
                listener=self._birth.name
            ),
            max_pdu=settings.max_pdu,
            strict=strict,
        )

    def _recorder(self, spool: ReceiptSpool) -> Recorder:
        listener, store = self._birth.name, self._settings.store

        def record(receipt: Receipt) -> None:
            spool.append(receipt, received_at=time.time(), listener=listener, store=store)

        return record

    def _patience(self, now: float) -> float:
        """How long epoll may wait, in seconds."""
        if self._eager:
            return 0.0
        wake_at, opens_at = self._tick_at, self._gate.opens_at
        if opens_at < wake_at:
            wake_at = opens_at
        return wake_at - now if wake_at > now else 0.0

    def _serve(self, connection: Connection) -> None:
        try:
            connection.ready()
            if self._activity is not None:
                self._show_activity(self._activity)
        except Exception as error:  # the one place of this loop that catches broadly
            self._log.error("connection.broken", error=type(error).__name__, exc_info=error)
            connection.session.abandon("an error of ours")
            connection.close()

    def _show_activity(self, activity: Activity) -> None:
        """Tell the retrieval beside us what has come."""
        row, counters = self._birth.row, self._counters
        shown_bytes, shown_objects = self._shown
        objects = counters.objects + counters.refused
        activity.add(
            row, reads=int(counters.received_bytes > shown_bytes), objects=objects - shown_objects
        )
        self._shown = counters.received_bytes, objects

    def _attend(self, fd: int) -> None:
        """What is no peer's socket."""
        if fd == self._lifeline.fileno():
            for message in self._lifeline.receive():
                self._obey(message)
            if self._lifeline.closed:
                self._gone = True
                self._end("the supervisor is gone")
        elif fd == self._helpers.fileno():
            self._helpers.finish()
            if self._activity is not None:
                self._show_activity(self._activity)
        elif fd == self._name_helpers.fileno():
            self._name_helpers.finish()
        else:
            self._gate.accept(fd)

    def _tick(self) -> bool:
        """Look at the clocks; returns whether the worker is done."""
        now = self._clock()
        for connection in [c for c in self._connections.values() if c.deadline <= now]:
            try:
                connection.expire()
            except Exception as error:  # as in _serve
                self._log.error("connection.broken", error=type(error).__name__, exc_info=error)
                connection.close()
        if now >= self._beat_at:
            self._beat_at = now + HEARTBEAT_S
            self._report()
        if self._lifeline.wants_write:
            self._lifeline.flush()
        self._tick_at = min(self._beat_at, now + TICK_S if self._connections else inf)
        if self._drained_by is None:
            return False
        if now >= self._drained_by:
            if self._ending:
                return True
            self._end("stopping")
        elif (
            self._limits.stopping
            and not self._ending
            and not self._helpers.unfinished
            and len(self._strangers) == len(self._connections)
        ):
            self._end("stopping")  # Nobody is left who sends objects.
        self._tick_at = min(self._tick_at, now + TICK_S / 5)
        return not self._connections and not self._helpers.unfinished

    def _siblings_turn(self) -> bool:
        lightest = self._scoreboard.lightest_load(self._birth.row)
        return lightest is not None and len(self._connections) > lightest

    def _take(self, sock: socket.socket, address: Any) -> None:
        host = str(address[0]).removeprefix("::ffff:") if address else "local"
        sock.setblocking(False)
        if self._services.admits_host is not None and not self._services.admits_host(host):
            # As every program does that asks libwrap: closed without a word.
            self._log.warning("connection.failed", peer=host, reason=NOT_ALLOWED)
            sock.close()
            return
        if self._ssl_context is not None:
            try:
                sock = self._ssl_context.wrap_socket(
                    sock, server_side=True, do_handshake_on_connect=False
                )
            except (OSError, ValueError):
                sock.close()
                return
        if self._strangers and self._scoreboard.connections() >= self._settings.limits.connections:
            oldest = next(iter(self._strangers))
            oldest.session.abandon("too many connections without an association")
            oldest.close()
        self._counters.connections += 1
        self._serial += 1
        session = Session(self._services, identity=f"{self._prefix}-{self._serial:x}", host=host)
        if self._names is not None:
            session.host_name = self._names.name_of(host)
        connection = Connection(self._around, sock, session, host)
        self._connections[connection.fd] = connection
        self._strangers[connection] = None
        self._scoreboard.set_connections(self._birth.row, len(self._strangers))
        self._note_load()
        self._tick_at = min(self._tick_at, self._clock() + TICK_S)

    def _changed(self, connection: Connection) -> None:
        if connection.established:
            self._strangers.pop(connection, None)
        elif not connection.closed:
            self._strangers[connection] = None
        self._scoreboard.set_connections(self._birth.row, len(self._strangers))

    def _closed(self, connection: Connection) -> None:
        self._connections.pop(connection.fd, None)
        self._strangers.pop(connection, None)
        self._scoreboard.set_connections(self._birth.row, len(self._strangers))
        self._note_load()
        if self._drained_by is not None:
            self._tick_at = 0.0

    def _unread(self, connection: Connection) -> None:
        self._eager.append(connection)

    def _note_load(self) -> None:
        load = None if self._drained_by is not None else len(self._connections)
        self._scoreboard.set_load(self._birth.row, load)

    def _obey(self, message: Message) -> None:
        match message.get("order"):
            case "drain":
                self._drain(message.get("seconds"), reload=message.get("reason") == "reload")
            case "stop":
                self._drain(0.0, reload=False)
            case "ask":
                self._answer(message)
            case _:
                self._log.warning("order.unknown", reason=str(message.get("order")))

    def _drain(self, seconds: float | None, *, reload: bool) -> None:
        now = self._clock()
        limit = inf if seconds is None else now + seconds
        self._drained_by = limit if self._drained_by is None else min(limit, self._drained_by)
        self._gate.close()
        self._note_load()
        self._tick_at = 0.0
        if reload:
            return
        self._limits.stopping = True
        self._around.stop()
        for connection in list(self._connections.values()):
            connection.hurry()
        if now >= self._drained_by:
            self._end("stopping")

    def _end(self, cause: str) -> None:
        """Abort everything now; peers get a moment to hear it."""
        self._limits.stopping = True
        self._gate.close()
        for connection in list(self._connections.values()):
            connection.abort(cause)
        self._ending = True
        self._drained_by = self._clock() + (0.0 if self._gone else _FAREWELL_S)
        self._note_load()
        self._tick_at = 0.0

    def _answer(self, message: Message) -> None:
        answer: Message = {"report": "answer", "id": message.get("id")}
        if message.get("what") == "snapshot":
            self._report()  # whoever asks sees figures of this moment
            answer["result"] = [snapshot(connection) for connection in self._connections.values()]
        else:
            answer["error"] = f"an acceptor does not know {message.get('what')}"
        self._lifeline.send(answer)

    def _report(self) -> None:
        counters = self._counters.report()
        self._lifeline.send(
            {
                "report": "alive",
                "counters": counters,
                "open_associations": len(self._connections) - len(self._strangers),
                "open_connections": len(self._strangers),
            }
        )


def snapshot(connection: Connection) -> dict[str, Any]:
    """One live connection, as ``status`` shows it."""
    session = connection.session
    if session.established:
        state = "receiving" if session.busy or session.pending else "idle"
    else:
        state = "closing" if session.ended else "connecting"
    return {
        "association": session.identity,
        "peer": connection.address,
        "calling_ae": session.calling_ae_title,
        "called_ae": session.called_ae_title,
        "age": round(session.age_s, 3),
        "objects": session.stored,
        "bytes": session.stored_bytes,
        "received_bytes": connection.received_bytes,
        "state": state,
    }


def _resolve(hosts: Sequence[str]) -> list[str]:
    """Addresses of the host names among the rules. StartError for one that cannot be resolved."""
    resolved: list[str] = []
    for host in hosts:
        if is_network(host):
            continue
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise StartError(f"access.hosts: '{host}' cannot be resolved: {error}") from error
        resolved.extend(str(entry[4][0]).partition("%")[0] for entry in found)
    return resolved
