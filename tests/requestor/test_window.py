from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dicomd.requestor.window import Situation, hindrances, opening
from dicomd.settings.retrieval import WindowSettings

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = WindowSettings(from_="20:00", to="06:00")


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("now", "is_open", "until"),
    [
        ("2026-11-21T19:59:59", False, "2026-11-21T20:00:00"),
        ("2026-11-21T20:00:00", True, "2026-11-22T06:00:00"),
        ("2026-11-21T23:00:00", True, "2026-11-22T06:00:00"),
        ("2026-11-22T05:59:59", True, "2026-11-22T06:00:00"),
        ("2026-11-22T06:00:00", False, "2026-11-22T20:00:00"),
        # The night of the change of clocks is an hour longer, or shorter.
        ("2026-10-24T21:00:00", True, "2026-10-25T06:00:00"),
        ("2026-03-28T21:00:00", True, "2026-03-29T06:00:00"),
    ],
)
def test_a_window_over_midnight_opens_and_closes(now: str, is_open: bool, until: str) -> None:
    found = opening(NIGHT, BERLIN, berlin(now))
    assert found.is_open is is_open
    assert found.until == berlin(until).astimezone(UTC)


def test_a_window_of_some_days_belongs_to_the_day_it_opens() -> None:
    window = WindowSettings(from_="22:00", to="04:00", days=("fri", "sat"))
    assert opening(window, BERLIN, berlin("2026-11-21T03:00:00")).is_open  # Saturday, from Friday
    assert opening(window, BERLIN, berlin("2026-11-22T03:00:00")).is_open
    assert not opening(window, BERLIN, berlin("2026-11-23T03:00:00")).is_open
    closed = opening(window, BERLIN, berlin("2026-11-23T03:00:00"))
    assert closed.until == berlin("2026-11-27T22:00:00").astimezone(UTC)


def test_no_window_is_always_open() -> None:
    assert opening(None, BERLIN, berlin("2026-11-21T12:00:00")).is_open


def test_the_whole_day_never_closes_in_between() -> None:
    found = opening(WindowSettings(), BERLIN, berlin("2026-11-21T23:59:00"))
    assert found.is_open
    assert found.until is not None
    assert found.until > berlin("2026-11-25T00:00:00")


def test_every_reason_is_named() -> None:
    now = berlin("2026-11-21T12:00:00").astimezone(UTC)
    situation = Situation(
        now=now,
        zone=BERLIN,
        window=NIGHT,
        paused=True,
        draining=True,
        remote="PACS",
        running=2,
        most_running=2,
        started_last_hour=(now - timedelta(minutes=30), now - timedelta(minutes=10)),
        studies_per_hour=2,
        backing_off_until=now + timedelta(minutes=4),
        pause_until=now + timedelta(seconds=5),
    )
    found = hindrances(situation)
    assert [one.kind for one in found] == [
        "paused", "draining", "window", "backoff", "rate", "pause", "remote",
    ]  # fmt: skip
    texts = {one.kind: one.text for one in found}
    assert texts["window"] == "outside its window until 2026-11-21 20:00:00 CET"
    assert "2 of 2" in texts["remote"]
    assert next(one for one in found if one.kind == "rate").until == now + timedelta(minutes=30)


def test_nothing_in_the_way_is_no_reason() -> None:
    assert hindrances(Situation(now=datetime.now(UTC), zone=BERLIN)) == []
