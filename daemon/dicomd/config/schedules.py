"""When a retrieval may start: cron expressions, times of day and time zones, checked as text."""

import re
import zoneinfo

_FIELDS = (
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day of month", 1, 31, ""),
    ("month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    ("day of week", 0, 7, "sun mon tue wed thu fri sat"),
)
_ALIASES = {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
_LAST_DAY = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def check_cron(text: str) -> None:
    """Five fields as in crontab(5): lists, ranges, steps, names of months and days, or an alias
    such as ``@daily``. Raises ValueError saying which field is wrong."""
    if text.strip().lower() in _ALIASES:
        return
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise ValueError(
            f"{text!r} has {len(parts)} fields; a cron expression has five: "
            "minute, hour, day of month, month, day of week"
        )
    values = [
        _field(part, name, least, most, names)
        for part, (name, least, most, names) in zip(parts, _FIELDS, strict=True)
    ]
    days, months = values[2], values[3]
    if parts[4] == "*" and min(days) > max(_LAST_DAY[month - 1] for month in months):
        raise ValueError(f"{text!r} never comes: no such day in that month")


def _field(text: str, name: str, least: int, most: int, names: str) -> set[int]:
    words = names.split()
    offset = 1 if name == "month" else 0

    def number(part: str) -> int:
        value = words.index(part.lower()) + offset if part.lower() in words else -1
        if part.isascii() and part.isdigit():
            value = int(part)
        if not least <= value <= most:
            raise ValueError(f"{part!r} is no {name}; it goes from {least} to {most}")
        return value

    found: set[int] = set()
    for item in text.split(","):
        span, slash, step_text = item.partition("/")
        if slash and not (step_text.isascii() and step_text.isdigit() and int(step_text)):
            raise ValueError(f"{item!r} is no {name}: a step is a number from 1")
        step = int(step_text) if slash else 1
        if span == "*":
            first, last = least, most
        else:
            start, dash, end = span.partition("-")
            first = number(start)
            last = number(end) if dash else (most if slash else first)
            if first > last:
                raise ValueError(f"{item!r} is no {name}: a range goes upwards")
        found.update(range(first, last + 1, step))
    return found


def check_time(text: str) -> None:
    """``HH:MM``, or ``24:00`` for the end of the day. Raises ValueError otherwise."""
    if _TIME.fullmatch(text) is None:
        raise ValueError(f'{text!r} is no time of day; write "20:00"')


def check_timezone(text: str) -> None:
    """A name of the IANA database, such as ``Europe/Berlin``. Raises ValueError otherwise."""
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no time zone {text!r}; write a name such as Europe/Berlin") from error
