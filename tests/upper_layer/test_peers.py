"""The core under another shell, a blocking one, with real peers: DCMTK's tools and pynetdicom."""

import os
import socket
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification  # type: ignore[attr-defined]

from dicomd.dimse.codec import decode_command, encode_echo_response, encode_store_response
from dicomd.dimse.commands import CEchoRequest, CStoreRequest
from dicomd.upper_layer.associate import ContextResult, encode_accept
from dicomd.upper_layer.association import Association
from dicomd.upper_layer.events import (
    Aborted,
    AssociationRequested,
    CommandReceived,
    DatasetReceived,
    PeerClosed,
    ReleaseRequested,
)
from tests.upper_layer.wire import EXPLICIT, IMPLICIT

CT_FILE = str(get_testdata_file("CT_small.dcm"))


class Shell:
    """Serves one association on a port of its own; what came stands in its lists."""

    def __init__(self, *, max_pdu: int, read_bytes: int) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(20)
        self.port = self.listener.getsockname()[1]
        self.max_pdu = max_pdu
        self.read_bytes = read_bytes
        self.commands: list[object] = []
        self.datasets: list[bytes] = []
        self.ending = ""

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        self.listener.close()
        with connection:
            connection.settimeout(20)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            association = Association(max_pdu=self.max_pdu)
            buffer = bytearray(self.read_bytes)
            pending: tuple[int, CStoreRequest] | None = None
            data = b""
            while True:
                size = connection.recv_into(buffer)
                view = memoryview(buffer)[:size]
                for event in association.receive(view) if size else association.receive_eof():
                    match event:
                        case AssociationRequested():
                            self.accept(association, event)
                        case CommandReceived():
                            command = decode_command(event.command)
                            self.commands.append(command)
                            if isinstance(command, CEchoRequest):
                                response = encode_echo_response(command)
                                association.send_command(event.context_id, response)
                            else:
                                assert isinstance(command, CStoreRequest)
                                pending = event.context_id, command
                        case DatasetReceived():
                            data += b"".join(event.spans)
                            if event.last:
                                assert pending is not None
                                response = encode_store_response(pending[1], 0)
                                association.send_command(pending[0], response)
                                self.datasets.append(data)
                                data = b""
                        case ReleaseRequested():
                            self.ending = "released"
                            association.release()
                        case Aborted():
                            self.ending = "aborted"
                            return  # AA-3: ours to close; echoscu waits for that
                        case PeerClosed():
                            return
                assert association.fault is None
                connection.sendall(association.take_outgoing())

    def accept(self, association: Association, event: AssociationRequested) -> None:
        accepted = {
            context.context_id: (
                EXPLICIT if EXPLICIT in context.transfer_syntaxes else context.transfer_syntaxes[0]
            )
            for context in event.request.contexts
        }
        answer = encode_accept(
            event.request,
            [ContextResult(number, 0, syntax) for number, syntax in accepted.items()],
            max_pdu=self.max_pdu,
            implementation_class_uid="1.2.3",
            implementation_version_name="TEST",
            roles={},
            extended={},
        )
        association.accept(answer, accepted, event.request.max_pdu)


def parsed(data: bytes) -> Dataset:
    return read_dataset(BytesIO(data), is_implicit_VR=False, is_little_endian=True)


SIZES = [(4096, 1), (16384, 17), (131072, 4096), (131072, 262144)]
"""Maximum length announced, bytes read at once."""


def start(shell: Shell) -> Future[None]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(shell.serve)
    pool.shutdown(wait=False)
    return future


@pytest.mark.parametrize(("max_pdu", "read_bytes"), SIZES)
@pytest.mark.parametrize("tool", ["storescu", "dcmsend"])
def test_dcmtk_stores_what_it_has(tool: str, max_pdu: int, read_bytes: int) -> None:
    shell = Shell(max_pdu=max_pdu, read_bytes=read_bytes)
    served = start(shell)
    subprocess.run(
        [f"/usr/bin/{tool}", "127.0.0.1", str(shell.port), CT_FILE],
        check=True,
        timeout=30,
        env=os.environ | {"TCP_NODELAY": "1"},
    )
    served.result(20)
    original = dcmread(CT_FILE)
    (command,) = shell.commands
    assert isinstance(command, CStoreRequest)
    assert command.sop_instance_uid == original.SOPInstanceUID
    (data,) = shell.datasets
    assert parsed(data).PixelData == original.PixelData
    assert shell.ending == "released"


def test_dcmtk_echoes_many_times() -> None:
    shell = Shell(max_pdu=16384, read_bytes=65536)
    served = start(shell)
    command = ["/usr/bin/echoscu", "--repeat", "20", "127.0.0.1", str(shell.port)]
    subprocess.run(command, check=True, timeout=30, env=os.environ | {"TCP_NODELAY": "1"})
    served.result(20)
    assert len(shell.commands) == 20


@pytest.mark.parametrize(("max_pdu", "read_bytes"), SIZES)
def test_pynetdicom_stores_and_echoes(max_pdu: int, read_bytes: int) -> None:
    shell = Shell(max_pdu=max_pdu, read_bytes=read_bytes)
    served = start(shell)
    entity = AE()
    entity.maximum_pdu_size = 100  # ours must be cut to that
    entity.add_requested_context(CTImageStorage, [EXPLICIT])
    entity.add_requested_context(Verification, [IMPLICIT])
    association = entity.associate("127.0.0.1", shell.port)
    assert association.is_established
    assert association.send_c_echo().Status == 0
    assert association.send_c_store(CT_FILE).Status == 0
    association.release()
    served.result(20)
    assert [type(command) for command in shell.commands] == [CEchoRequest, CStoreRequest]
    assert parsed(shell.datasets[0]).PixelData == dcmread(CT_FILE).PixelData
    assert shell.ending == "released"


def test_an_aborting_peer_is_seen() -> None:
    shell = Shell(max_pdu=16384, read_bytes=65536)
    served = start(shell)
    command = ["/usr/bin/echoscu", "--abort", "127.0.0.1", str(shell.port)]
    subprocess.run(command, check=True, timeout=30, env=os.environ | {"TCP_NODELAY": "1"})
    served.result(20)
    assert shell.ending == "aborted"
