"""DaemonSettings: the whole tree."""

from dataclasses import dataclass, field
from typing import Annotated

from annotated_types import Ge, Le

from dicomd.settings.listener import ListenerSettings
from dicomd.settings.log import LogSettings
from dicomd.settings.move import MoveSettings
from dicomd.settings.remote import RemoteSettings
from dicomd.settings.retrieval import RetrievalSettings
from dicomd.settings.storage import StoreSettings
from dicomd.settings.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsSettings:
    """The job database: ``sqlite`` (in the state directory) or a ``postgresql://`` URL."""

    database: str = "sqlite"
    password_file: str = ""
    """A file with the database password, kept out of the URL."""
    keep_history: Seconds = 90 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """The index of what was received (SQLite, in the state directory)."""

    enabled: bool = True
    checksums: bool = True
    """SHA-256 of every object, computed behind the acknowledgement, for ``dicomd verify``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """Where /metrics, /healthz and /readyz are served."""

    address: str = "127.0.0.1"
    port: Annotated[int, Ge(0), Le(65535)] = 9104


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonSettings:
    """Everything that ``dicomd run`` does. Each room is handed its own slice."""

    state_directory: str = ""
    """Index, receipts and jobs. Empty (only ``recv`` and ``move``): none of these is kept."""
    control_socket: str = ""
    """Empty: no control socket."""
    user: str = ""
    """Drop to this user after binding; empty: stay who we are."""
    group: str = ""
    drain_timeout: Seconds = 30.0
    """How long objects under way may take to end after SIGTERM. After a reload running
    associations go on to their end, bounded by their own clocks."""
    listeners: dict[str, ListenerSettings] = field(default_factory=dict)
    stores: dict[str, StoreSettings] = field(default_factory=dict)
    remotes: dict[str, RemoteSettings] = field(default_factory=dict)
    retrievals: dict[str, RetrievalSettings] = field(default_factory=dict)
    jobs: JobsSettings = JobsSettings()
    index: IndexSettings = IndexSettings()
    logging: LogSettings = LogSettings()
    metrics: MetricsSettings | None = None
    once: MoveSettings | None = None
    """One retrieval to run and end with; set by ``dicomd move``, never a key of the file."""
    warnings: tuple[str, ...] = field(default=(), compare=False)
    """What is doubtful in the files, for the log; never a key of the file."""
