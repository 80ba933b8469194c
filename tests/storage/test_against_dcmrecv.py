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
from tests.storage.objects import DEFLATED, loaded, names_in, packaged_files, sink_of, store

DCMRECV = "/usr/bin/dcmrecv"
DEADLINE_S = 20.0
MADE_UP = "1.2.276.0.7230010.3.1.4."


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
    objects = sendable()
    assert len(objects) > 100
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
        for path, (instance, data) in objects.items():
            # An odd fragment would end the association (PS3.8 annex E.2).
            data += b"\0" * (len(data) % 2)
            status = client.send(instance, data)
            assert ours(sink, instance, data) == status, path.name
            if status == 0:
                (name,) = set(os.listdir(theirs))
                assert_same_file(path.name, theirs / name, mine / name)
                (theirs / name).unlink()
                (mine / name).unlink()
            assert os.listdir(theirs) == []
    sink.close()
    assert names_in(mine) == []
