"""kill -9 at random moments: what was acknowledged is there, whole; nothing else under a name.

``DICOMD_KILL_ROUNDS`` makes it longer (100 for a release).
"""

import os
import random
import select
import signal
import socket
import threading
from pathlib import Path

import pytest
from tests.acceptor.service import Service
from tests.bench.objects import Encoded, association_request, data_set, instance_uid

from dicomd.settings.storage import StoreSettings

pytestmark = pytest.mark.journey
ROUNDS = int(os.environ.get("DICOMD_KILL_ROUNDS", "8"))
SENDERS = 4
SIZE = 60_000


class Sender(threading.Thread):
    """Sends objects until the connection breaks. Mutable: which were acknowledged, which begun."""

    def __init__(self, port: int, first: int) -> None:
        super().__init__()
        self._port = port
        self._first = first
        self.acknowledged: set[int] = set()

    def run(self) -> None:
        encoded = Encoded.make(self._first, 400, SIZE, 16384)
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=20) as sock:
                sock.sendall(association_request())
                sock.recv(65536)
                for place, head in enumerate(encoded.heads):
                    sock.sendmsg((head, encoded.tail))
                    answer = sock.recv(65536)
                    if answer[:1] != b"\x04":
                        return
                    at = answer.index(b"\x00\x00\x00\x09\x02\x00\x00\x00")
                    assert answer[at + 8 : at + 10] == b"\0\0"
                    self.acknowledged.add(self._first + place)
        except OSError:
            return


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_nothing_acknowledged_is_lost_and_no_file_is_partial(tmp_path: Path, round_: int) -> None:
    chance = random.Random(round_)
    store = StoreSettings(min_free_space=0, durability=chance.choice(("object", "none")))
    with Service(tmp_path, store=store, workers=2) as service:
        senders = [Sender(service.port, 1000 * index) for index in range(SENDERS)]
        for sender in senders:
            sender.start()
        select.select([], [], [], 0.05 + chance.random() * 0.4)
        for pid in service.pids:
            os.kill(pid, signal.SIGKILL)
        for sender in senders:
            sender.join(30)
        for index in range(2):
            assert service.wait_for_exit(index) == -signal.SIGKILL
        stored = {path.name: path.read_bytes() for path in service.files()}
    sent = {
        f"CT.{instance_uid(number)}": number
        for index in range(SENDERS)
        for number in range(1000 * index, 1000 * index + 400)
    }
    for name, content in stored.items():
        assert name in sent
        assert content.endswith(data_set(sent[name], SIZE)), f"{name} is not whole"
        assert content[128:132] == b"DICM"
    acknowledged = set[int]().union(*(sender.acknowledged for sender in senders))
    missing = [n for n in acknowledged if f"CT.{instance_uid(n)}" not in stored]
    assert not missing
