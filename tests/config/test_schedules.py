"""Cron expressions, times of day and time zones."""

import pytest

from dicomd.config.schedules import check_cron, check_time, check_timezone


@pytest.mark.parametrize(
    "text",
    ["15 2 * * *", "*/5 * * * *", "0 22-23,0-5 * * mon-fri", "0 0 1 jan *", "@daily", "0 0 29 2 *",
     "1/10 0 * * 7", "0 0 31 2 mon"],
)  # fmt: skip
def test_sound_expressions(text: str) -> None:
    check_cron(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("60 * * * *", "'60' is no minute; it goes from 0 to 59"),
        ("* 24 * * *", "is no hour"),
        ("* * 0 * *", "is no day of month"),
        ("* * * foo *", "is no month"),
        ("* * * * 8", "is no day of week"),
        ("5-1 * * * *", "a range goes upwards"),
        ("*/0 * * * *", "a step is a number from 1"),
        ("* * * *", "has 4 fields"),
        ("", "has 0 fields"),
        ("0 0 30 2 *", "never comes"),
        ("@sometimes", "has 1 fields"),
    ],
)
def test_wrong_expressions_say_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("*", ".")):
        check_cron(text)


@pytest.mark.parametrize("text", ["00:00", "23:59", "24:00", "06:30"])
def test_times_of_day(text: str) -> None:
    check_time(text)


@pytest.mark.parametrize("text", ["24:01", "6:30", "25:00", "noon", "12:60"])
def test_wrong_times_of_day(text: str) -> None:
    with pytest.raises(ValueError, match="is no time of day"):
        check_time(text)


def test_time_zones_are_those_of_the_database() -> None:
    check_timezone("Europe/Berlin")
    for wrong in ("Europe/Berlln", "", "../etc/passwd"):
        with pytest.raises(ValueError, match="no time zone"):
            check_timezone(wrong)
