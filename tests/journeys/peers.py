"""A sender whose every byte is a test's, and receivers to send to: dcmrecv and `dicomd recv`.

What a receiver answers is told in one short text, so that tables of expectations can be read:
``accepted 0:1.2.840.10008.1.2.1``, ``rejected 1/1/1``, ``aborted``, ``0000``, ``released``,
``closed``.
"""

import os
import socket
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from struct import pack, unpack_from
from types import TracebackType

from tests.journeys.running import command, environment, free_port, wait_until
from tests.upper_layer.wire import (
    APPLICATION,
    CT,
    EXPLICIT,
    IMPLICIT,
    RELEASE_RQ,
    VERIFICATION,
    associate_rq,
    command_set,
    context,
    element,
    item,
    p_data,
    padded,
    pdv,
    user,
)

DCMRECV = "/usr/bin/dcmrecv"
DEADLINE_S = 20.0
LAST = 2
COMMAND = 1

Context = tuple[int, str, Sequence[str]]
"""Context id, abstract syntax, transfer syntaxes."""

USUAL: tuple[Context, ...] = ((1, CT, (EXPLICIT,)), (3, VERIFICATION, (IMPLICIT,)))


def uid_element(number: int, uid: str) -> bytes:
    """A UID of a command set."""
    return element(number, padded(uid))


def short_element(number: int, value: int) -> bytes:
    """A 16 bit number of a command set."""
    return element(number, pack("<H", value))


def store_rq(
    instance: str, *, sop_class: str = CT, message_id: int = 7, without: Iterable[int] = ()
) -> bytes:
    """A C-STORE-RQ (PS3.7 9.3.1.1); ``without`` leaves elements out."""
    elements = {
        0x0002: uid_element(0x0002, sop_class),
        0x0100: short_element(0x0100, 0x0001),
        0x0110: short_element(0x0110, message_id),
        0x0700: short_element(0x0700, 0),
        0x0800: short_element(0x0800, 0),
        0x1000: uid_element(0x1000, instance),
    }
    return command_set(*(value for number, value in elements.items() if number not in without))


def echo_rq(sop_class: str = VERIFICATION) -> bytes:
    """A C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return command_set(
        uid_element(0x0002, sop_class),
        short_element(0x0100, 0x0030),
        short_element(0x0110, 8),
        short_element(0x0800, 0x0101),
    )


def explicit(tag: int, vr: str, value: bytes, *, length: int | None = None) -> bytes:
    """An element in Explicit VR Little Endian, padded to even length unless that is given."""
    if length is None:
        value += (b"\0" if vr in ("UI", "OB") else b" ") * (len(value) & 1)
        length = len(value)
    head = pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN", "UT"):
        return head + pack("<HI", 0, length) + value
    return head + pack("<H", length) + value


def small_data_set(
    instance: str, *, sop_class: str = CT, series_date: bytes | None = None
) -> bytes:
    """A few elements of nobody's image, Explicit VR Little Endian."""
    parts = [
        explicit(0x00080016, "UI", sop_class.encode()),
        explicit(0x00080018, "UI", instance.encode()),
    ]
    if series_date is not None:
        parts.append(explicit(0x00080021, "DA", series_date))
    parts += [
        explicit(0x00080060, "CS", b"CT"),
        explicit(0x00100010, "PN", b"NOBODY"),
        explicit(0x00280010, "US", pack("<H", 2)),
        explicit(0x7FE00010, "OW", b"\x01\x00\x02\x00\x03\x00\x04\x00"),
    ]
    return b"".join(parts)


class Sender:
    """One connection to a receiver. A context manager; mutable: the socket."""

    def __init__(self, port: int, *, seconds: float = DEADLINE_S) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), seconds)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.accept = b""
        """The A-ASSOCIATE-AC, once it came."""
        self.abort = b""
        """The A-ABORT, once it came."""

    def __enter__(self) -> "Sender":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Send bytes; a peer that has closed shows in the next answer."""
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return

    def read_pdu(self) -> bytes:
        """The next whole PDU; empty when the peer has closed or reset."""
        data = b""
        size = 6
        try:
            while len(data) < size:
                more = self.sock.recv(size - len(data))
                if not more:
                    return b""
                data += more
                if len(data) == 6:
                    size += int.from_bytes(data[2:6])
        except ConnectionResetError:
            return b""
        return data

    def answer(self) -> str:
        """What the receiver says next, as the module's docstring tells."""
        answer = self.read_pdu()
        match answer[:1]:
            case b"":
                return "closed"
            case b"\x02":
                self.accept = answer
                results = accepted_contexts(answer)
                return "accepted " + " ".join(
                    f"{result}:{syntax}" if result == 0 else str(result)
                    for _, result, syntax in results
                )
            case b"\x03":
                return f"rejected {answer[7]}/{answer[8]}/{answer[9]}"
            case b"\x04":
                return f"{command_values(answer)[0x0900]:04X}"
            case b"\x06":
                return "released"
            case b"\x07":
                self.abort = answer
                return "aborted"
        raise AssertionError(f"not a PDU of an acceptor: {answer[:6]!r}")

    def associate(
        self, contexts: Iterable[Context] = USUAL, *extra: bytes, calling: str = "SENDER"
    ) -> str:
        """Request an association; what came of it."""
        self.send(request(contexts, *extra, calling=calling))
        return self.answer()

    def store(
        self, command_bytes: bytes, data: bytes, *, context_id: int = 1, fragment: int = 16000
    ) -> str:
        """A C-STORE; the status, or what happened."""
        self.send(p_data(pdv(context_id, COMMAND | LAST, command_bytes)))
        self.send(data_pdus(data, context_id=context_id, fragment=fragment))
        return self.answer()

    def echo(self, context_id: int = 3) -> str:
        """A C-ECHO; the status, or what happened."""
        self.send(p_data(pdv(context_id, COMMAND | LAST, echo_rq())))
        return self.answer()

    def release(self) -> str:
        """Release; what came of it."""
        self.send(RELEASE_RQ)
        answer = self.answer()
        self.sock.close()
        return answer


def request(contexts: Iterable[Context] = USUAL, *extra: bytes, calling: str = "SENDER") -> bytes:
    """An A-ASSOCIATE-RQ; ``extra`` are more sub-items of the user information."""
    return associate_rq(
        APPLICATION,
        *(context(number, abstract=uid, syntaxes=syntaxes) for number, uid, syntaxes in contexts),
        user(*extra),
        calling=calling.encode().ljust(16),
    )


def data_pdus(data: bytes, *, context_id: int = 1, fragment: int = 16000) -> bytes:
    """A data set as P-DATA-TFs, one PDV each."""
    pdus = []
    for start in range(0, max(len(data), 1), fragment):
        part = data[start : start + fragment]
        last = LAST if start + fragment >= len(data) else 0
        pdus.append(p_data(pdv(context_id, last, part)))
    return b"".join(pdus)


def role_item(sop_class: str, scu: int, scp: int) -> bytes:
    """A role selection sub-item (PS3.7 D.3.3.4)."""
    return item(0x54, pack(">H", len(sop_class)) + sop_class.encode() + bytes((scu, scp)))


def extended_item(sop_class: str, information: bytes) -> bytes:
    """A SOP class extended negotiation sub-item (PS3.7 D.3.3.5)."""
    return item(0x56, pack(">H", len(sop_class)) + sop_class.encode() + information)


def _items(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    at = 0
    while at < len(data):
        kind, length = unpack_from(">BxH", data, at)
        found.append((kind, data[at + 4 : at + 4 + length]))
        at += 4 + length
    return found


def accepted_contexts(answer: bytes) -> list[tuple[int, int, str]]:
    """Id, result and transfer syntax of each context of an A-ASSOCIATE-AC."""
    results = []
    for kind, value in _items(answer[74:]):
        if kind == 0x21:
            syntax = dict(_items(value[4:])).get(0x40, b"").rstrip(b"\0").decode()
            results.append((value[0], value[2], syntax))
    return results


def user_items(answer: bytes) -> list[tuple[int, bytes]]:
    """The sub-items of the user information of an A-ASSOCIATE-AC."""
    for kind, value in _items(answer[74:]):
        if kind == 0x50:
            return _items(value)
    return []


def counted_items(answer: bytes, wanted: int) -> dict[str, bytes]:
    """SOP class -> what follows it, of role (54H) or extended negotiation (56H) sub-items."""
    found = {}
    for kind, value in user_items(answer):
        if kind == wanted:
            (length,) = unpack_from(">H", value)
            found[value[2 : 2 + length].decode()] = value[2 + length :]
    return found


def command_values(answer: bytes) -> dict[int, int]:
    """The 16 bit numbers of the command set in a P-DATA-TF with one PDV; other values as -1."""
    return {
        number: unpack_from("<H", value)[0] if len(value) == 2 else -1
        for number, value in command_elements(answer).items()
    }


def command_elements(answer: bytes) -> dict[int, bytes]:
    """Element number -> value of the command set in a P-DATA-TF with one PDV."""
    found = {}
    at = 12
    while at < len(answer):
        _, number, length = unpack_from("<HHI", answer, at)
        found[number] = answer[at + 8 : at + 8 + length]
        at += 8 + length
    return found


class Receiver:
    """A dcmrecv or `dicomd recv` that listens. A context manager; mutable: the process."""

    def __init__(self, tool: str, folder: Path, *options: str, umask: int = -1) -> None:
        self.tool = tool
        self.folder = folder
        self.objects = folder / "objects"
        self.objects.mkdir(parents=True)
        self.port = free_port()
        self.log = folder / "log"
        program = [DCMRECV] if tool == "dcmrecv" else command("recv")
        place = [] if "-od" in options else ["-od", str(self.objects)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*program, "-v", "-dhl", *options, *place, str(self.port)],
                cwd=folder,
                env=environment({"TCP_NODELAY": "1"}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                umask=umask,
            )

    def __enter__(self) -> "Receiver":
        wait_until(self._listens, f"{self.tool} to listen: {self.text()}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        self.process.wait(DEADLINE_S)

    def _listens(self) -> bool:
        assert self.process.poll() is None, self.text()
        try:
            socket.create_connection(("127.0.0.1", self.port), DEADLINE_S).close()
        except ConnectionRefusedError:
            return False
        return True

    def text(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def sender(self) -> Sender:
        """A connection to it."""
        return Sender(self.port)

    def files(self) -> list[str]:
        """What lies in its folder, but for what is under way."""
        return stored_files(self.objects)

    def clear(self) -> None:
        """Take the stored files away."""
        for name in self.files():
            (self.objects / name).unlink()


def stored_files(folder: Path) -> list[str]:
    """Files below a folder, as relative names; folders whose name begins with a dot apart."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not any(part[0] == "." for part in path.relative_to(folder).parts)
    )


def dcmtk(tool: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one of DCMTK's senders, to its end."""
    return subprocess.run(
        [f"/usr/bin/{tool}", *map(str, arguments)],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asconfig(
    path: Path,
    contexts: Iterable[tuple[str, Sequence[str]]],
    *,
    roles: Iterable[tuple[str, str]] = (),
    extended: Iterable[tuple[str, str]] = (),
) -> Path:
    """An association profile named Test: (SOP class, transfer syntaxes) in order."""
    lists: dict[tuple[str, ...], str] = {}
    entries = []
    for sop_class, syntaxes in contexts:
        name = lists.setdefault(tuple(syntaxes), f"List{len(lists)}")
        entries.append(f"{sop_class}\\{name}")
    lines = ["[[TransferSyntaxes]]"]
    for syntaxes, name in lists.items():
        lines += [f"[{name}]"]
        lines += [f"TransferSyntax{at} = {uid}" for at, uid in enumerate(syntaxes, 1)]
    lines += ["[[PresentationContexts]]", "[Contexts]"]
    lines += [f"PresentationContext{at} = {entry}" for at, entry in enumerate(entries, 1)]
    profile = ["[[Profiles]]", "[Test]", "PresentationContexts = Contexts"]
    if roles:
        lines += ["[[SCPSCURoleSelection]]", "[Roles]"]
        lines += [f"Role{at} = {uid}\\{role}" for at, (uid, role) in enumerate(roles, 1)]
        profile.append("SCPSCURoleSelection = Roles")
    if extended:
        lines += ["[[ExtendedNegotiation]]", "[Extended]"]
        lines += [
            f"ExtendedNegotiation{at} = {uid}\\{data}" for at, (uid, data) in enumerate(extended, 1)
        ]
        profile.append("ExtendedNegotiation = Extended")
    path.write_text("\n".join([*lines, *profile, ""]))
    return path
