"""When a schedule fires: cron expressions in a time zone, and plain intervals.

At a change of clocks a time that does not exist fires once, as much later as the clock jumped; a
time that comes twice fires once. Only expressions that name every hour follow the clock on the
wall through the repeated hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - as in cron(5)
_DAYS = "sun mon tue wed thu fri sat".split()  # noqa: SIM905 - as in cron(5)
_ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_HORIZON_DAYS = 366 * 9
"""29 February is at most eight years away."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, parsed. Days of week count from Sunday, 0."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    """Neither day field is restricted, or only one: then both must fit. Otherwise one is enough,
    as crontab(5) has it."""

    def fits(self, day: date) -> bool:
        """Whether it fires on that day at all."""
        if day.month not in self.months:
            return False
        by_date = day.day in self.days
        by_weekday = day.isoweekday() % 7 in self.weekdays
        return (by_date and by_weekday) if self.any_day else (by_date or by_weekday)


def parse_cron(text: str) -> Cron:
    """Five fields as in crontab(5), or an alias such as ``@daily``. ValueError when it is none."""
    fields = _ALIASES.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise ValueError(f"{text!r} has {len(fields)} fields instead of five")
    minutes = _values(fields[0], 0, 59)
    hours = _values(fields[1], 0, 23)
    return Cron(
        minutes=tuple(sorted(minutes)),
        hours=tuple(sorted(hours)),
        days=frozenset(_values(fields[2], 1, 31)),
        months=frozenset(_values(fields[3], 1, 12, _MONTHS, 1)),
        weekdays=frozenset(value % 7 for value in _values(fields[4], 0, 7, _DAYS)),
        any_day=fields[2].startswith("*") or fields[4].startswith("*"),
    )


def _values(
    text: str, least: int, most: int, names: list[str] | None = None, offset: int = 0
) -> set[int]:
    def number(part: str) -> int:
        if names and part.lower() in names:
            return names.index(part.lower()) + offset
        value = int(part)
        if not least <= value <= most:
            raise ValueError(f"{part} is not in {least}..{most}")
        return value

    found: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        if span == "*":
            first, last = least, most
        else:
            start, dash, end = span.partition("-")
            first = number(start)
            last = number(end) if dash else (most if slash else first)
        found.update(range(first, last + 1, int(step) if slash else 1))
    return found


def next_time(cron: Cron, zone: ZoneInfo, after: datetime) -> datetime:
    """The first time after ``after`` (aware) that the expression fires, in UTC.

    ValueError when it never does.
    """
    after = after.astimezone(UTC)
    day = after.astimezone(zone).date() - timedelta(days=1)
    for _ in range(_HORIZON_DAYS):
        if cron.fits(day):
            times = [moment for moment in _times_of(cron, zone, day) if moment > after]
            if times:
                return min(times)
        day += timedelta(days=1)
    raise ValueError("the schedule never comes")


def _times_of(cron: Cron, zone: ZoneInfo, day: date) -> Iterator[datetime]:
    folds = (0, 1) if len(cron.hours) == 24 else (0,)
    for hour in cron.hours:
        for minute in cron.minutes:
            for fold in folds:
                local = datetime.combine(day, time(hour, minute, fold=fold), zone)
                yield local.astimezone(UTC)


def next_interval(every_s: float, last: datetime | None, now: datetime) -> datetime:
    """When an interval fires next: at once when it never has, else ``every_s`` after the last
    start; what was missed is made up for once."""
    if last is None:
        return now
    return max(last + timedelta(seconds=every_s), now) if last <= now else now
