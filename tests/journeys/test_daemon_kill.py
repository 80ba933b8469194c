"""kill -9 of the whole daemon under load; ``python -m tests.soak_kill`` plays a hundred rounds."""

import random
from pathlib import Path

import pytest
from tests.bench.objects import instance_uid
from tests.journeys.running import Daemon, wait_until
from tests.soak_kill import Ledger, play_round

from dicomd.storage.index import Index

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("daemon_kill")]

ROUNDS = 6


def missing(index: Path, wanted: set[str]) -> set[str]:
    with Index(str(index), read_only=True) as opened:
        return opened.missing(wanted)


def test_nothing_acknowledged_is_lost_and_nothing_is_half(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    ledger = Ledger()
    chance = random.Random(2026)
    try:
        for number in range(ROUNDS):
            play_round(daemon, ledger, number, chance)
        assert len(ledger.acknowledged) > ROUNDS
        wanted = {instance_uid(number) for number in ledger.acknowledged}
        daemon.start()
        index = tmp_path / "state" / "index.sqlite"
        wait_until(lambda: missing(index, wanted) == set(), "the index of all that was received")
        verified = daemon.run("verify")
        assert verified.returncode == 0, verified.stdout
    finally:
        daemon.end()
