from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dicomd.requestor.schedule import next_interval, next_time, parse_cron

BERLIN = ZoneInfo("Europe/Berlin")


def times(expression: str, after: str, count: int) -> list[str]:
    cron, moment = parse_cron(expression), datetime.fromisoformat(after).replace(tzinfo=BERLIN)
    found = []
    for _ in range(count):
        moment = next_time(cron, BERLIN, moment)
        found.append(moment.astimezone(BERLIN).isoformat())
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("15 2 * * *", "2026-11-21T02:14:59", ["2026-11-21T02:15:00+01:00"]),
        ("15 2 * * *", "2026-11-21T02:15:00", ["2026-11-22T02:15:00+01:00"]),
        ("*/20 8-9 * * mon-fri", "2026-11-20T09:40:00", ["2026-11-23T08:00:00+01:00"]),
        ("0 0 1,15 * *", "2026-11-02T00:00:00", ["2026-11-15T00:00:00+01:00"]),
        ("0 0 29 2 *", "2026-01-01T00:00:00", ["2028-02-29T00:00:00+01:00"]),
        # Both day fields restricted: one is enough, as crontab(5) has it.
        ("0 0 13 * fri", "2026-11-10T00:00:00", ["2026-11-13T00:00:00+01:00"]),
        ("0 0 13 * sun", "2026-11-10T00:00:00", ["2026-11-13T00:00:00+01:00"]),
        ("@daily", "2026-11-10T12:00:00", ["2026-11-11T00:00:00+01:00"]),
        ("0 12 * * 7", "2026-11-21T00:00:00", ["2026-11-22T12:00:00+01:00"]),
        # 02:30 does not exist on 29 March: once, as much later as the clock jumped.
        (
            "30 2 * * *",
            "2026-03-28T03:00:00",
            ["2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"],
        ),
        # 02:30 comes twice on 25 October: once.
        (
            "30 2 * * *",
            "2026-10-24T03:00:00",
            ["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"],
        ),
        # What names every hour goes on through the repeated one.
        (
            "30 * * * *",
            "2026-10-25T01:30:00",
            ["2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T03:30:00+01:00"],
        ),
    ],
)
def test_a_cron_expression_fires(expression: str, after: str, expected: list[str]) -> None:
    assert times(expression, after, len(expected)) == expected


@pytest.mark.parametrize("text", ["", "* * * *", "60 * * * *", "* * * * 8", "a * * * *"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_cron(text)


def test_an_interval_fires_at_once_then_every_so_often_and_makes_up_once() -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert next_interval(600, None, now) == now
    assert next_interval(600, now, now) == now + timedelta(minutes=10)
    assert next_interval(600, now - timedelta(hours=5), now) == now
