"""Normal mode against dcmrecv itself: the same bytes in, the same files out.

Every file of pydicom's package is sent to a real dcmrecv as it lies on disk, and stored by our own
sink with dcmrecv's rewriting; then the files are compared, header and data set.
"""

import contextlib
import os
import socket
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from dicomd.errors import StorageError
from dicomd.settings.storage import DCMRECV_REWRITE
from dicomd.storage.part10 import parse_meta
from dicomd.storage.sink import Instance, Sink
from tests.journeys.peers import Sender, store_rq
from tests.storage.objects import (
    CT,
    DEFLATED,
    element,
    end,
    instance_of,
    item,
    loaded,
    names_in,
    packaged_files,
    sequence,
    sink_of,
    store,
    uid,
)

DCMRECV = "/usr/bin/dcmrecv"
DEADLINE_S = 20.0
MADE_UP = "1.2.276.0.7230010.3.1.4."


FIRST = uid(0x00080016, CT) + uid(0x00080018, "1.2.3")
INNER = uid(0x00081150, CT) + uid(0x00081155, "1.2.3.4")
CRAFTED = {
    "odd text": FIRST + element(0x00080060, "CS", b"CTX") + element(0x00100010, "PN", b"A^BB"),
    "odd UID": FIRST + element(0x0020000D, "UI", b"1.2"),
    "odd bytes": FIRST + element(0x00091001, "UN", b"abc"),
    "unsorted": FIRST + element(0x00100010, "PN", b"A^BB") + element(0x00080060, "CS", b"CT"),
    "duplicate": FIRST + element(0x00080060, "CS", b"CT") + element(0x00080060, "CS", b"MR"),
    "unsorted, with sequences": sequence(0x00081140, item(INNER), undefined=True)
    + sequence(0x00081115, item(INNER, undefined=True), item(INNER))
    + FIRST,
    "unsorted in an item": FIRST
    + sequence(0x00081140, item(uid(0x00081155, "1.2.3.4") + uid(0x00081150, CT))),
    "duplicate in an item": FIRST + sequence(0x00081140, item(INNER + INNER), item(INNER)),
    "group lengths": element(0x00080000, "UL", b"\x01\0\0\0")
    + FIRST
    + element(0x00100000, "UL", b"\x01\0\0\0")
    + element(0x00100010, "PN", b"A^BB"),
    "a group length alone": FIRST + element(0x00100000, "UL", b"\x07\0\0\0"),
    "group length in an item": FIRST
    + sequence(0x00081140, item(element(0x00080000, "UL", b"\x01\0\0\0") + INNER)),
    "trailing padding": FIRST + element(0xFFFCFFFC, "OB", bytes(20)),
    "padding in an item": FIRST
    + sequence(0x00081140, item(INNER + element(0xFFFCFFFC, "OB", bytes(6)))),
    "empty sequence and item": FIRST
    + sequence(0x00081115)
    + sequence(0x00081140, item(b""))
    + sequence(0x00081199, undefined=True),
    "nested": FIRST
    + sequence(0x00081140, item(sequence(0x00081199, item(INNER), item(INNER, undefined=True)))),
    "private sequence": FIRST
    + element(0x00090010, "LO", b"ACME")
    + sequence(0x00091001, item(element(0x00091002, "DS", b"1.50"))),
    "new VRs": FIRST + element(0x00091001, "UC", b"ab") + element(0x00091002, "UT", b"text"),
    "empty values": FIRST + element(0x00100010, "PN") + element(0x00280010, "US"),
    "many values": FIRST + element(0x00280010, "US", bytes(200)),
    "ends inside a header": FIRST + bytes(3),
    "ends inside a long header": FIRST + element(0x7FE00010, "OW", b"abcd")[:10],
    "truncated": FIRST + element(0x00100010, "PN", b"A^BB")[:-2],
    "length past the end": FIRST + element(0x7FE00010, "OW", b"abcd", length=1 << 30),
    "nothing": b"",
    "garbage": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "UIDs of another object": uid(0x00080016, CT) + uid(0x00080018, "9.8.7"),
    "no UIDs": element(0x00100010, "PN", b"A^BB"),
    "item past its sequence": FIRST + sequence(0x00081140, item(INNER))[:-16],
    "sequence not ended": FIRST + sequence(0x00081140, item(INNER), undefined=True)[:-8],
    "unknown VR of capitals": FIRST + b"\x09\0\x01\x10ZZ\0\0\x02\0\0\0ab",
    "unknown VR": FIRST + b"\x09\0\x01\x10??\x02\0ab",
    "UN of undefined length": FIRST
    + element(
        0x00091001,
        "UN",
        item(b"\x08\0\x18\0\x02\0\0\x0012") + end(0xE0DD),
        length=0xFFFFFFFF,
    ),
}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def profile(instances: list[Instance]) -> str:
    syntaxes = sorted({instance.transfer_syntax_uid for instance in instances})
    classes = sorted({instance.sop_class_uid for instance in instances})
    return "\n".join(
        (
            "[[TransferSyntaxes]]",
            "[T]",
            *(f"TransferSyntax{n} = {uid}" for n, uid in enumerate(syntaxes, 1)),
            "[[PresentationContexts]]",
            "[C]",
            *(f"PresentationContext{n} = {uid}\\T" for n, uid in enumerate(classes, 1)),
            "[[Profiles]]",
            "[Default]",
            "PresentationContexts = C",
            "",
        )
    )


def sendable() -> dict[Path, tuple[Instance, bytes]]:
    """The packaged files that a C-STORE can carry."""
    found = {path: loaded(path) for path in packaged_files()}
    return {
        path: (instance, data)
        for path, (instance, data) in found.items()
        if instance.sop_class_uid and instance.sop_instance_uid and "DICOMDIR" not in path.name
    }


@contextlib.contextmanager
def dcmrecv(folder: Path, instances: list[Instance], *options: str) -> Iterator[int]:
    """A receiver that is listening; its port."""
    config = folder.parent / "profile.cfg"
    config.write_text(profile(instances))
    port = free_port()
    process = subprocess.Popen(
        [DCMRECV, "-q", "-xf", str(config), "Default", "-od", str(folder), *options, str(port)],
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "dcmrecv ended"
            assert time.monotonic() < deadline, "dcmrecv does not listen"
        yield port
    finally:
        process.kill()
        process.wait()


class Client:
    """Sends data sets as they are; asks for a new association when the old one was aborted."""

    def __init__(self, port: int, instances: list[Instance]) -> None:
        self._port = port
        pairs = sorted({(i.sop_class_uid, i.transfer_syntax_uid) for i in instances})
        assert len(pairs) <= 128
        self._ids = {pair: 2 * number + 1 for number, pair in enumerate(pairs)}
        self._sender: Sender | None = None

    def send(self, instance: Instance, data: bytes) -> int | None:
        """The status, or None when the association was aborted."""
        if self._sender is None:
            self._sender = Sender(self._port)
            contexts = [(id_, pair[0], [pair[1]]) for pair, id_ in self._ids.items()]
            assert self._sender.associate(contexts).startswith("accepted ")
        answer = self._sender.store(
            store_rq(instance.sop_instance_uid, sop_class=instance.sop_class_uid),
            data,
            context_id=self._ids[instance.sop_class_uid, instance.transfer_syntax_uid],
        )
        if len(answer) == 4:
            return int(answer, 16)
        self.close()
        return None

    def close(self) -> None:
        if self._sender is not None:
            self._sender.sock.close()
            self._sender = None


def ours(sink: Sink, instance: Instance, data: bytes) -> int | None:
    try:
        store(sink, data, instance)
    except StorageError as error:
        return None if error.abort else error.status
    return 0


def plain(data: bytes, syntax: str) -> bytes:
    return zlib.decompressobj(-15).decompress(data) if syntax == DEFLATED else data


def assert_same_file(name: str, theirs: Path, mine: Path) -> None:
    their_data, my_data = theirs.read_bytes(), mine.read_bytes()
    their_meta, my_meta = parse_meta(their_data), parse_meta(my_data)
    assert their_meta is not None
    assert my_meta is not None
    if their_meta.sop_instance_uid.startswith(MADE_UP):
        # We also take UIDs that came with the wrong VR; dcmrecv makes one up then.
        assert my_meta.sop_instance_uid.startswith((MADE_UP, "1.9.999.")), name
    else:
        assert my_data[: my_meta.header_bytes] == their_data[: their_meta.header_bytes], name
    syntax = my_meta.transfer_syntax_uid
    mine_plain = plain(my_data[my_meta.header_bytes :], syntax)
    theirs_plain = plain(their_data[their_meta.header_bytes :], syntax)
    if mine_plain != theirs_plain:
        # What is left are blanks behind a value, which DCMTK drops now and then.
        assert pydicom.dcmread(mine, force=True) == pydicom.dcmread(theirs, force=True), name


@pytest.mark.parametrize("mode", ["normal", "bit-preserving"])
def test_every_packaged_file_is_stored_as_dcmrecv_stores_it(tmp_path: Path, mode: str) -> None:
    objects = {path.name: found for path, found in sendable().items()}
    assert len(objects) > 100
    compare(tmp_path, objects, mode)


@pytest.mark.parametrize("mode", ["normal", "bit-preserving"])
def test_odd_data_sets_are_stored_as_dcmrecv_stores_them(tmp_path: Path, mode: str) -> None:
    objects = {name: (instance_of(), data) for name, data in CRAFTED.items()}
    compare(tmp_path, objects, mode)


def compare(tmp_path: Path, objects: dict[str, tuple[Instance, bytes]], mode: str) -> None:
    """Send each object to dcmrecv and to a sink of ours; answers and files must be the same."""
    instances = [instance for instance, _ in objects.values()]
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    theirs.mkdir()
    mine.mkdir()
    sink = sink_of(
        mine,
        mode=mode,
        rewrite=DCMRECV_REWRITE if mode == "normal" else None,
        implementation="dcmrecv",
        durability="none",
        abort_unparsable=True,
    )
    option = "-B" if mode == "normal" else "+B"
    with dcmrecv(theirs, instances, option) as port, contextlib.ExitStack() as closing:
        client = Client(port, instances)
        closing.callback(client.close)
        for name, (instance, data) in objects.items():
            # An odd fragment would end the association (PS3.8 annex E.2).
            data += b"\0" * (len(data) % 2)
            status = client.send(instance, data)
            assert ours(sink, instance, data) == status, name
            if status == 0:
                (file,) = set(os.listdir(theirs))
                assert_same_file(name, theirs / file, mine / file)
                (theirs / file).unlink()
                (mine / file).unlink()
            assert os.listdir(theirs) == []
    sink.close()
    assert names_in(mine) == []
