"""kill -9 of the whole daemon under load; ``python -m tests.soak_kill`` plays a hundred rounds."""

import random
from pathlib import Path

import pytest
from tests.journeys.running import Daemon
from tests.soak_kill import Ledger, play_round

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("daemon_kill")]

ROUNDS = 6


def test_nothing_acknowledged_is_lost_and_nothing_is_half(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    ledger = Ledger()
    chance = random.Random(2026)
    try:
        for number in range(ROUNDS):
            play_round(daemon, ledger, number, chance)
        assert len(ledger.acknowledged) > ROUNDS
    finally:
        daemon.end()
