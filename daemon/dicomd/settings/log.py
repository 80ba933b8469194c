"""LogSettings: levels, outputs, rotation."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge

from dicomd.settings.units import Bytes, Seconds

Level = Literal["trace", "debug", "info", "warning", "error", "critical"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateSettings:
    """Rotation by us. A file is rotated when it is over ``size`` or older than ``age``."""

    size: Bytes | None = None
    age: Seconds | None = None
    keep: Annotated[int, Ge(1)] = 10
    compress: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFileSettings:
    """A log file. ``external``: somebody else rotates it and sends SIGUSR1."""

    path: str
    rotate: RotateSettings | Literal["external"] = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogSettings:
    """Syslog: a local socket path, or ``host`` / ``host:port`` over UDP."""

    address: str = "/dev/log"
    facility: str = "daemon"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How the daemon speaks. With no output configured, lines go to standard error."""

    level: Level = "info"
    format: Literal["json", "console"] = "json"
    stderr: bool | None = None
    """None: standard error only when no other output is configured."""
    file: LogFileSettings | None = None
    syslog: SyslogSettings | None = None
    journal: bool = False
    levels: dict[str, Level] = field(default_factory=dict)
    """Level by logger name, e.g. ``dicomd.negotiation: debug``."""
    config: str = ""
    """A DCMTK log configuration file, instead of the keys above."""
    identifiers: Literal["uids", "show", "hash", "omit"] = "uids"
    """What lines say of patients and objects. ``uids``: UIDs are shown, values that identify a
    patient are hashed. ``show``: both are shown. ``hash``: both are hashed, with a salt kept in
    the state directory, so that lines about one object can still be told. ``omit``: neither."""
    queue: Annotated[int, Ge(100)] = 10_000
    """Lines that may wait for a slow output before lines are dropped and counted."""
    dcmtk: "DcmtkLogSettings | None" = None
    """Speak as DCMTK's tools do; set by ``recv``, ``move`` and ``config``, never a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OflogAppender:
    """One appender of a DCMTK log configuration, as read; ``options`` keep their spelling."""

    name: str
    factory: str
    options: dict[str, str] = field(default_factory=dict)
    layout: str = ""
    layout_options: dict[str, str] = field(default_factory=dict)
    threshold: int = 0
    filters: tuple[tuple[str, dict[str, str]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OflogLogger:
    """One logger of a DCMTK log configuration. ``level`` None inherits; root is named ``""``.
    Levels are Python's numbers, TRACE is 5, OFF above 50."""

    name: str
    level: int | None = None
    appenders: tuple[str, ...] = ()
    additive: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DcmtkLogSettings:
    """Lines as DCMTK writes them, by its loggers, appenders and layouts (spec: logconfig).

    Empty appenders and loggers: the built-in form, ``X: text`` on standard error at ``level``.
    """

    application: str = "dcmrecv"
    level: int = 30
    loggers: tuple[OflogLogger, ...] = ()
    appenders: tuple[OflogAppender, ...] = ()
    verbose_contexts: bool = False
    """+v: association dumps at info instead of debug."""
    uid_names: dict[str, str] = field(default_factory=dict)
    """DCMTK's names of UIDs, for the dumps at debug level and with +v."""
    host_names: bool = False
    """Peers by their host name, looked up by the log writer; off: by their address."""
    quiet: bool = False
    """log4cplus.quietMode: its own messages about the file are not printed."""
    file: str = ""
    """The log configuration file; empty: the built-in form."""
    complaints: tuple[str, ...] = ()
    """What log4cplus says on standard error when it reads the file, before it makes appenders."""
    doubts: tuple[str, ...] = ()
    """What it swallows, with file and line: logged as ``config.warned``."""
