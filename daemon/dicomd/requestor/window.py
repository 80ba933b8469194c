"""When a retrieval may run, and why it does not just now.

Windows are evaluated in the job's time zone on every turn, so that a change of clocks or of the
settings counts at once.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dicomd.settings.retrieval import WindowSettings

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Opening:
    """Whether a window is open, and when that changes (UTC; None: never)."""

    is_open: bool
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Hindrance:
    """One reason why a job does not transfer just now. ``kind`` is a word for programs."""

    kind: str
    text: str
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What stands around a run just now."""

    now: datetime
    zone: ZoneInfo
    window: WindowSettings | None = None
    paused: bool = False
    draining: bool = False
    remote: str = ""
    running: int = 0
    """Retrievals under way from the remote, of all jobs."""
    most_running: int = 1
    started_last_hour: tuple[datetime, ...] = ()
    """When studies of this job were begun, within the last hour, oldest first."""
    studies_per_hour: int | None = None
    backing_off_until: datetime | None = None
    pause_until: datetime | None = None


def opening(window: WindowSettings | None, zone: ZoneInfo, now: datetime) -> Opening:
    """The state of a window; no window is always open."""
    if window is None:
        return Opening(True, None)
    now = now.astimezone(UTC)
    today = now.astimezone(zone).date()
    spans = [
        span
        for offset in range(-2, 9)
        if (span := _span(window, zone, today + timedelta(days=offset))) is not None
    ]
    end: datetime | None = None
    for begin, close in spans:
        if begin <= now < close or (end is not None and begin <= end):
            end = max(end, close) if end else close
    if end is not None:
        return Opening(True, end)
    later = [begin for begin, _ in spans if begin > now]
    return Opening(False, min(later) if later else None)


def _span(window: WindowSettings, zone: ZoneInfo, day: date) -> tuple[datetime, datetime] | None:
    if window.days and _DAYS[day.weekday()] not in window.days:
        return None
    begin = _moment(day, window.from_, zone)
    close = _moment(day, window.to, zone)
    if close <= begin:
        close = _moment(day + timedelta(days=1), window.to, zone)
    return begin, close


def _moment(day: date, text: str, zone: ZoneInfo) -> datetime:
    hour, minute = (int(part) for part in text.split(":"))
    if hour == 24:
        day, hour = day + timedelta(days=1), 0
    return datetime.combine(day, time(hour, minute), zone).astimezone(UTC)


def hindrances(situation: Situation) -> list[Hindrance]:
    """Every reason why nothing is begun just now, the most lasting first; none: go ahead."""
    found: list[Hindrance] = []
    if situation.paused:
        found.append(Hindrance("paused", "paused; `dicomd jobs resume` ends that"))
    if situation.draining:
        found.append(Hindrance("draining", "the daemon is stopping"))
    window = opening(situation.window, situation.zone, situation.now)
    if not window.is_open:
        when = _local(window.until, situation.zone)
        found.append(Hindrance("window", f"outside its window until {when}", window.until))
    if situation.backing_off_until and situation.backing_off_until > situation.now:
        when = _local(situation.backing_off_until, situation.zone)
        found.append(Hindrance("backoff", f"backing off until {when}", situation.backing_off_until))
    limit = situation.studies_per_hour
    if limit is not None and len(situation.started_last_hour) >= limit:
        free = situation.started_last_hour[-limit] + timedelta(hours=1)
        found.append(
            Hindrance(
                "rate",
                f"rate: {limit} studies an hour, the next at {_local(free, situation.zone)}",
                free,
            )
        )
    if situation.pause_until and situation.pause_until > situation.now:
        when = _local(situation.pause_until, situation.zone)
        found.append(
            Hindrance("pause", f"pause between retrievals until {when}", situation.pause_until)
        )
    if situation.running >= situation.most_running:
        found.append(
            Hindrance(
                "remote",
                f"remote {situation.remote}'s limit: {situation.running} of "
                f"{situation.most_running} retrievals are under way",
            )
        )
    return found


def _local(moment: datetime | None, zone: ZoneInfo) -> str:
    if moment is None:
        return "for ever"
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S %Z")
