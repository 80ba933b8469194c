"""An archive for tests: answers C-FIND and C-MOVE, honestly or as badly as it is told to.

One thread a connection. It sends its objects with C-STOREs of its own, so that it can claim what
it didn't send, send what it didn't announce, and fall silent where a real one would not.
"""

import contextlib
import io
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import generate_uid

from dicomd.errors import MoveError
from dicomd.requestor.association import Association, Call, open_association
from dicomd.upper_layer.associate import ContextResult, decode_request, encode_accept

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
CT = "1.2.840.10008.5.1.4.1.1.2"
MODEL_UIDS = tuple(
    f"1.2.840.10008.5.1.4.1.2.{root}.{verb}" for root in (1, 2, 3) for verb in (1, 2)
)


@dataclass(frozen=True, slots=True)
class Instance:
    """One object on the shelf."""

    patient: str
    study: str
    series: str
    uid: str
    data: bytes


@dataclass(slots=True)
class Asked:
    """A request that came: its command field, the identifier, and when."""

    command_field: int
    message_id: int
    destination: str
    identifier: Dataset
    encoded: bytes
    transfer_syntax: str
    priority: int

    @property
    def level(self) -> str:
        return str(self.identifier.get("QueryRetrieveLevel", ""))


@dataclass(slots=True)
class Manners:
    """How the archive behaves. Each is off by default."""

    never_sends: set[str] = field(default_factory=set)
    """Instances that are claimed as sent and never are."""
    drops_once: set[str] = field(default_factory=set)
    """The same, but the next request for them is served."""
    refuses: dict[str, list[int]] = field(default_factory=dict)
    """Study -> statuses of its next C-MOVEs, which send nothing."""
    success_first: bool = False
    """The final response comes before the objects do."""
    lag_s: float = 0.0
    """With ``success_first``: how long after."""
    silent: bool = False
    """C-MOVEs are never answered."""
    no_pending: bool = False
    aborts: bool = False
    """A-ABORT instead of an answer to a C-MOVE."""
    object_delay_s: float = 0.0
    extra: list[Instance] = field(default_factory=list)
    """Sent with each C-MOVE though nobody asked."""
    counts: bool = True
    """Whether STUDY level matches carry their number of instances."""
    find_status: int = 0
    reject: tuple[int, int, int] | None = None
    accepts: Callable[[str], bool] = lambda abstract_syntax: True
    final_status: int | None = None
    pending_with_data: bool | None = None
    """Pending responses announce a data set: True sends it, False does not."""
    wrong_message_id: bool = False
    releases: bool = False
    cancel_wait_s: float = 0.0
    """Wait so long for a C-CANCEL before each object."""
    offers: tuple[tuple[str, ...], ...] = ()
    """Transfer syntaxes of the contexts of the C-STORE association, which then sends nothing."""


class Archive:
    """``with Archive(instances, {"AE": port}) as archive: archive.port``."""

    def __init__(
        self,
        instances: list[Instance],
        destinations: dict[str, int] | None = None,
        manners: Manners | None = None,
    ) -> None:
        self.instances = instances
        self.destinations = destinations if destinations is not None else {}
        self.manners = manners or Manners()
        self._sizes = Counter(one.study for one in instances)
        self.asked: list[Asked] = []
        self.associations = 0
        self.cancels = 0
        self.sent: list[str] = []
        self.chosen: list[dict[int, str]] = []
        """Context id -> transfer syntax of each C-STORE association."""
        self.most_moves = 0
        self._moves = 0
        self._lock = threading.Lock()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._closing = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop at once: connections break."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def moves(self) -> list[Asked]:
        """The C-MOVE requests so far."""
        return [asked for asked in self.asked if asked.command_field == 0x21]

    def _accept(self) -> None:
        while not self._closing:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, MoveError, ValueError):
            association = self._establish(sock)
            if association is not None:
                self.associations += 1
                while True:
                    self._answer(association)
        with contextlib.suppress(OSError):
            sock.close()
        self._open.discard(sock)

    def _establish(self, sock: socket.socket) -> Association | None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = _exactly(sock, 6)
        encoded = head + _exactly(sock, struct.unpack("!BxI", head)[1])
        request = decode_request(encoded)
        if self.manners.reject:
            sock.sendall(struct.pack("!BBIBBBB", 3, 0, 4, 0, *self.manners.reject))
            return None
        results, accepted = [], {}
        for context in request.contexts:
            known = context.abstract_syntax in MODEL_UIDS
            fine = known and self.manners.accepts(context.abstract_syntax)
            syntax = context.transfer_syntaxes[0]
            results.append(ContextResult(context.context_id, 0 if fine else 3, syntax))
            if fine:
                accepted[context.context_id] = syntax
        sock.sendall(
            encode_accept(
                request,
                results,
                max_pdu=16384,
                implementation_class_uid="1.2.3",
                implementation_version_name="ARCHIVE",
                roles={},
                extended={},
            )
        )
        return Association(
            sock=sock,
            accepted=accepted,
            peer_max_pdu=request.max_pdu,
            own_max_pdu=16384,
            acse_timeout=10,
        )

    def _answer(self, association: Association) -> None:
        try:
            message = association.receive_command(timeout=0)
        except MoveError as exc:
            if "release" in str(exc):
                association.sock.sendall(struct.pack("!BBII", 6, 0, 4, 0))
            raise
        command = _command(message.command)
        if command[0x0100] == 0x0FFF:
            self.cancels += 1
            return
        encoded = association.receive_dataset(timeout=30)
        syntax = association.accepted[message.context_id]
        identifier = read_dataset(io.BytesIO(encoded), syntax == IMPLICIT, True)
        asked = Asked(
            command_field=command[0x0100],
            message_id=command[0x0110],
            destination=command.get(0x0600, ""),
            identifier=identifier,
            encoded=encoded,
            transfer_syntax=syntax,
            priority=command.get(0x0700, 0),
        )
        self.asked.append(asked)
        if asked.command_field == 0x20:
            self._find(association, message.context_id, asked)
        else:
            with self._lock:
                self._moves += 1
                self.most_moves = max(self.most_moves, self._moves)
            try:
                self._move(association, message.context_id, asked)
            finally:
                with self._lock:
                    self._moves -= 1

    def _find(self, association: Association, context_id: int, asked: Asked) -> None:
        for match in self._matches(asked):
            data = encoded_dataset(match, asked.transfer_syntax)
            association.send(context_id, response(0x8020, asked.message_id, 0xFF00, True), data)
        status = self.manners.find_status
        association.send(context_id, response(0x8020, asked.message_id, status, False))

    def _matches(self, asked: Asked) -> Iterator[Dataset]:
        seen: set[str] = set()
        for instance in self.selected(asked.identifier):
            uid = {"STUDY": instance.study, "SERIES": instance.series, "IMAGE": instance.uid}.get(
                asked.level, instance.patient
            )
            if uid in seen:
                continue
            seen.add(uid)
            match = Dataset()
            match.QueryRetrieveLevel = asked.level
            match.PatientID = instance.patient
            match.StudyInstanceUID = instance.study
            if asked.level in ("SERIES", "IMAGE"):
                match.SeriesInstanceUID = instance.series
            if asked.level == "IMAGE":
                match.SOPInstanceUID = instance.uid
            if asked.level == "STUDY" and self.manners.counts:
                match.NumberOfStudyRelatedInstances = str(self._sizes[instance.study])
            yield match

    def selected(self, identifier: Dataset) -> list[Instance]:
        """The instances that unique keys name."""

        wanted: list[tuple[str, frozenset[str]]] = []
        for attribute, keyword in (
            ("patient", "PatientID"),
            ("study", "StudyInstanceUID"),
            ("series", "SeriesInstanceUID"),
            ("uid", "SOPInstanceUID"),
        ):
            value = identifier.get(keyword)
            if value not in (None, ""):
                values = [value] if isinstance(value, str) else list(value)
                wanted.append((attribute, frozenset(str(one) for one in values)))
        return [
            one
            for one in self.instances
            if all(getattr(one, attribute) in values for attribute, values in wanted)
        ]

    def _move(self, association: Association, context_id: int, asked: Asked) -> None:
        manners = self.manners
        if manners.silent:
            while not self._closing:
                time.sleep(0.05)
        if manners.aborts:
            association.abort()
            raise MoveError("aborted", retryable=False)
        if manners.releases:
            association.sock.sendall(struct.pack("!BBII", 5, 0, 4, 0))
            raise MoveError("released", retryable=False)
        message_id = asked.message_id + (7 if manners.wrong_message_id else 0)
        chosen = self.selected(asked.identifier)
        studies = {one.study for one in chosen}
        for study in studies:
            statuses = manners.refuses.get(study)
            if statuses:
                reply = response(0x8021, message_id, statuses.pop(0), False)
                association.send(context_id, reply)
                return
        port = self.destinations.get(asked.destination)
        if port is None and chosen:
            association.send(context_id, response(0x8021, message_id, 0xA801, False))
            return
        final = response(
            0x8021, message_id, manners.final_status or 0, False, (0, len(chosen), 0, 0)
        )
        if manners.success_first:
            association.send(context_id, final)
            time.sleep(manners.lag_s)
        cancelled = False
        with contextlib.ExitStack() as stack:
            store = None
            for number, instance in enumerate([*chosen, *manners.extra], 1):
                if manners.cancel_wait_s and self._cancelled(association, manners.cancel_wait_s):
                    cancelled = True
                    break
                skipped = instance.uid in manners.never_sends or instance.uid in manners.drops_once
                manners.drops_once.discard(instance.uid)
                if not skipped:
                    if store is None and port is not None:
                        offers = manners.offers or ((EXPLICIT, IMPLICIT),)
                        store = stack.enter_context(_store_association(port, offers))
                        self.chosen.append(store.accepted)
                    if store is not None and not manners.offers:
                        time.sleep(manners.object_delay_s)
                        _store(store, instance, number)
                        self.sent.append(instance.uid)
                left = max(0, len(chosen) - number)
                if not manners.no_pending and not manners.success_first:
                    announces = manners.pending_with_data
                    pending = response(
                        0x8021, message_id, 0xFF00, announces is not None, (left, number, 0, 0)
                    )
                    data = b"\x08\x00\x05\x00CS\x00\x00" if announces else b""
                    association.send(context_id, pending, data)
            if store is not None:
                store.release()
        if not manners.success_first:
            if cancelled:
                final = response(0x8021, message_id, 0xFE00, False, (1, 0, 0, 0))
            association.send(context_id, final)

    def _cancelled(self, association: Association, seconds: float) -> bool:
        with contextlib.suppress(MoveError):
            message = association.receive_command(timeout=seconds)
            if _command(message.command)[0x0100] == 0x0FFF:
                self.cancels += 1
                return True
        return False


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise OSError("closed")
        data += part
    return data


def _command(data: bytes) -> dict[int, Any]:
    values: dict[int, Any] = {}
    at = 0
    while at < len(data):
        element, length = struct.unpack_from("<2xHI", data, at)
        value = data[at + 8 : at + 8 + length]
        if element in (0x0002, 0x0600):
            values[element] = value.decode().strip(" \0")
        elif length == 2:
            values[element] = struct.unpack("<H", value)[0]
        at += 8 + length
    return values


def response(
    command_field: int,
    message_id: int,
    status: int,
    has_dataset: bool,
    counts: tuple[int, int, int, int] | None = None,
) -> bytes:
    """A response's command set; counts are remaining, completed, failed, warning."""
    elements = [
        (0x0100, command_field),
        (0x0120, message_id),
        (0x0800, 1 if has_dataset else 0x0101),
        (0x0900, status),
    ]
    if counts is not None:
        elements += list(zip((0x1020, 0x1021, 0x1022, 0x1023), counts, strict=True))
    body = b"".join(struct.pack("<HHIH", 0, tag, 2, value) for tag, value in elements)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def encoded_dataset(dataset: Dataset, transfer_syntax: str) -> bytes:
    """A data set's bytes."""
    from pydicom.filebase import DicomBytesIO

    out = DicomBytesIO()
    out.is_little_endian = transfer_syntax != "1.2.840.10008.1.2.2"
    out.is_implicit_VR = transfer_syntax == IMPLICIT
    write_dataset(out, dataset)
    return out.getvalue()


@contextlib.contextmanager
def _store_association(port: int, offers: tuple[tuple[str, ...], ...]) -> Iterator[Association]:
    call = Call(
        host="127.0.0.1",
        port=port,
        called_ae_title="DEST",
        calling_ae_title="ARCHIVE",
        contexts=tuple((CT, syntaxes) for syntaxes in offers),
        implementation_class_uid="1.2.3",
        implementation_version_name="ARCHIVE",
    )
    with open_association(call) as association:
        yield association


def _store(association: Association, instance: Instance, message_id: int) -> None:
    def uid(value: str) -> bytes:
        return value.encode() + b"\0" * (len(value) % 2)

    elements = [
        (0x0002, uid(CT)),
        (0x0100, struct.pack("<H", 0x0001)),
        (0x0110, struct.pack("<H", message_id & 0xFFFF)),
        (0x0700, b"\0\0"),
        (0x0800, b"\1\0"),
        (0x1000, uid(instance.uid)),
    ]
    body = b"".join(struct.pack("<HHI", 0, tag, len(value)) + value for tag, value in elements)
    association.send(1, struct.pack("<HHII", 0, 0, 4, len(body)) + body, instance.data)
    association.receive_command(timeout=30)


def make_instances(
    studies: int, series: int = 1, images: int = 2, *, patient: str = "P1", size: int = 200
) -> list[Instance]:
    """Objects of several studies, each a small whole data set in Explicit VR."""
    made: list[Instance] = []
    for _ in range(studies):
        study = str(generate_uid())
        for _ in range(series):
            series_uid = str(generate_uid())
            for number in range(images):
                dataset = Dataset()
                dataset.SOPClassUID = CT
                dataset.SOPInstanceUID = uid = generate_uid()
                dataset.PatientID = patient
                dataset.PatientName = "ZZMARKER^Anna"
                dataset.StudyInstanceUID = study
                dataset.SeriesInstanceUID = series_uid
                dataset.InstanceNumber = number
                dataset.PixelData = bytes(size)
                dataset["PixelData"].VR = "OB"
                data = encoded_dataset(dataset, EXPLICIT)
                made.append(Instance(patient, study, series_uid, str(uid), data))
    return made
