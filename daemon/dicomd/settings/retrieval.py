"""RetrievalSettings: remote, query, schedule, window, verification, retry."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge

from dicomd.settings.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """Transfers start and go on only inside it. Local times ``HH:MM`` of the job's time zone; a
    window whose end is not after its start crosses midnight."""

    from_: str = "00:00"
    to: str = "24:00"
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    """Days on which the window opens; none named = every day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSettings:
    """A C-FIND whose matches are retrieved. Values may hold date expressions in braces."""

    level: Literal["PATIENT", "STUDY", "SERIES", "IMAGE"] = "STUDY"
    keys: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySettings:
    """Back-off between passes: ``first``, times ``factor`` each, at most ``most``, with jitter."""

    attempts: Annotated[int, Ge(1)] = 5
    first: Seconds = 60.0
    factor: Annotated[float, Ge(1)] = 2.0
    most: Seconds = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSettings:
    """How gently the remote is treated. None = no limit."""

    studies_per_hour: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalSettings:
    """One scheduled retrieval. Exactly one of ``find``, ``list`` and ``keys`` says what."""

    remote: str
    destination: str
    """One of our listeners, or the AE title of a third party (then reported, not verified)."""
    model: Literal["patient", "study", "patient-study-only"] = "study"
    schedule: str = ""
    """Cron expression, five fields; empty with ``every`` empty: only by hand."""
    every: Seconds | None = None
    timezone: str = "UTC"
    window: WindowSettings | None = None
    find: FindSettings | None = None
    list: str = ""
    """CSV file whose header names unique keys (StudyInstanceUID, SeriesInstanceUID, …)."""
    keys: dict[str, str] = field(default_factory=dict)
    """Sent in one C-MOVE as they are, as movescu does."""
    verify: Literal["instances", "counts", "none"] = "instances"
    retry: RetrySettings = RetrySettings()
    priority: Literal["low", "medium", "high"] = "medium"
    rate: RateSettings = RateSettings()
    timeout: Seconds = 300.0
    """No response and no arriving object for so long: the pass has failed."""
    settle: Seconds = 5.0
    """After the last response: how long without an arriving object until what has not come is
    called missing. Not waited for where the archive does not claim to have sent more."""
    paused: bool = False
    catch_up: bool = True
    """Run once after a start when a scheduled time was missed while the daemon was down."""
