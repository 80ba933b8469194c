"""Sessions in memory: fakes of what surrounds them, and bytes in and out."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from dicomd.acceptor.access import Access
from dicomd.acceptor.counters import Counters
from dicomd.acceptor.negotiation import Negotiator, Refusal
from dicomd.acceptor.services import Services
from dicomd.acceptor.session import Session
from dicomd.errors import StorageError
from dicomd.settings.listener import AccessSettings
from dicomd.storage.sink import Delivery, Instance, Receipt
from tests.acceptor.service import PROFILE
from tests.upper_layer.wire import associate_rq


class FakeDelivery:
    """Keeps an object in memory, or fails where the sink says so."""

    def __init__(self, sink: "FakeSink", instance: Instance) -> None:
        self.sink = sink
        self.instance = instance
        self.data = b""
        self.discarded = False
        self.blocking = sink.blocking

    def write(self, spans: Sequence[memoryview]) -> None:
        if self.sink.fail_at == "write":
            raise self.sink.failure
        self.data += b"".join(spans)

    def commit(self) -> Receipt:
        if self.sink.fail_at == "commit":
            raise self.sink.failure
        if self.sink.fail_at == "bug":
            raise ZeroDivisionError
        self.sink.stored[self.instance.sop_instance_uid] = self.data
        return Receipt(self.instance, "/store/x", len(self.data), outcome=self.sink.outcome)

    def discard(self) -> None:
        self.discarded = True


class FakeSink:
    """A sink in memory."""

    def __init__(self, *, blocking: bool = False) -> None:
        self.blocking = blocking
        self.stored: dict[str, bytes] = {}
        self.deliveries: list[FakeDelivery] = []
        self.fail_at = ""
        self.outcome = "stored"
        self.failure = StorageError("no room", status=0xA700, comment="out of resources")

    def begin(self, instance: Instance) -> Delivery:
        if self.fail_at == "begin":
            raise self.failure
        delivery = FakeDelivery(self, instance)
        self.deliveries.append(delivery)
        return delivery

    def close(self) -> None:
        return


class FakeAdmission:
    """Slots without a scoreboard."""

    def __init__(self) -> None:
        self.open = 0
        self.refusal: Refusal | None = None

    def enter(self, host: str) -> int | Refusal:
        if self.refusal is not None:
            return self.refusal
        self.open += 1
        return self.open

    def leave(self, slot: int) -> None:
        self.open -= 1


class World:
    """All that a session stands in, within reach of a test."""

    def __init__(
        self,
        *,
        strict: bool = True,
        blocking: bool = False,
        access: AccessSettings | None = None,
        admits_host: Callable[[str], bool] | None = None,
    ) -> None:
        self.sink = FakeSink(blocking=blocking)
        self.admission = FakeAdmission()
        self.counters = Counters()
        self.submitted: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self.receipts: list[Receipt] = []
        log = structlog.get_logger("dicomd.acceptor").bind(listener="test")
        self.services = Services(
            sink=self.sink,
            negotiator=Negotiator(
                PROFILE,
                max_pdu=16384,
                implementation_class_uid="1.2.3",
                implementation_version_name="TEST",
                tolerant=not strict,
            ),
            access=Access(access or AccessSettings(), strict=strict),
            admission=self.admission,
            admits_host=admits_host,
            counters=self.counters,
            submit=lambda work, afterwards: self.submitted.append((work, afterwards)),
            recorder=self.receipts.append,
            log=log,
            negotiation_log=log,
            max_pdu=16384,
            strict=strict,
        )

    def session(self) -> Session:
        return Session(self.services, identity="a-1", host="192.0.2.1")

    def established(self, request: bytes | None = None) -> Session:
        session = self.session()
        answer = exchange(session, request or associate_rq())
        assert answer[0] == 2, answer
        return session

    def work(self) -> None:
        """Do what was submitted to helper threads."""
        submitted, self.submitted = self.submitted, []
        for work, afterwards in submitted:
            work()
            afterwards()


def exchange(session: Session, data: bytes) -> bytes:
    """Feed bytes through a buffer that is spoilt afterwards; what is to be sent."""
    buffer = bytearray(data)
    with memoryview(buffer) as view:
        session.receive(view)
    buffer[:] = b"\xee" * len(buffer)
    return session.take_outgoing()


def status_of(response: bytes) -> int:
    """The DIMSE status of a response in one P-DATA-TF."""
    assert response[:1] == b"\x04", response
    at = response.index(b"\x00\x00\x00\x09\x02\x00\x00\x00")
    return int.from_bytes(response[at + 8 : at + 10], "little")


def command_field_of(response: bytes) -> int:
    """Its Command Field."""
    at = response.index(b"\x00\x00\x00\x01\x02\x00\x00\x00")
    return int.from_bytes(response[at + 8 : at + 10], "little")


Entry = dict[str, Any]
