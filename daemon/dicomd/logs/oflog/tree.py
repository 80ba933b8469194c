"""DCMTK's logger hierarchy: which appenders an event reaches.

The level is that of the nearest ancestor that has one. Appenders are the logger's own and all its
ancestors', until additivity is switched off. Built from DcmtkLogSettings; what log4cplus says
about the file while it does so is gathered in ``complaints``, in its order and words.
"""

import time
from collections.abc import Callable

from dicomd.logs.oflog.files import (
    ConsoleTarget,
    DailyTarget,
    FileTarget,
    Log4jUdpTarget,
    NowhereTarget,
    RollingTarget,
    SyslogTarget,
    Target,
)
from dicomd.logs.oflog.filters import Filter, is_true, make_filter, passes
from dicomd.logs.oflog.layouts import (
    BUILT_IN_PATTERN,
    Layout,
    LayoutError,
    LogEvent,
    PatternLayout,
    SimpleLayout,
    make_layout,
)
from dicomd.settings.log import DcmtkLogSettings, OflogAppender

STDOUT, STDERR = 1, 2
_BUILT_IN = ""


class Appender:
    """One appender: threshold, then filters, then layout, then target."""

    def __init__(
        self,
        name: str,
        layout: Layout,
        target: Target,
        threshold: int = 0,
        filters: tuple[Filter, ...] = (),
    ) -> None:
        self.name = name
        self.layout = layout
        self.target = target
        self.threshold = threshold
        self.filters = filters

    def append(self, event: LogEvent) -> None:
        """Write the event, if it is let through."""
        if event.level >= self.threshold and passes(self.filters, event):
            self.target.put(event, self.layout.format(event))


class LoggerTree:
    """All loggers of one configuration. Mutable: only whether it has complained."""

    def __init__(
        self,
        settings: DcmtkLogSettings,
        *,
        started_ns: int | None = None,
        complain_to: int = STDERR,
    ) -> None:
        self.complaints: list[str] = list(settings.complaints)
        self._started_ns = time.time_ns() if started_ns is None else started_ns
        self._quiet = settings.quiet
        self._appenders = {
            appender.name: made
            for appender in settings.appenders
            if (made := self._appender(appender)) is not None
        }
        self._levels: dict[str, int] = {"": settings.level}
        self._own: dict[str, tuple[Appender, ...]] = {}
        self._additive: dict[str, bool] = {}
        if not settings.loggers or (settings.loggers[0].appenders == (_BUILT_IN,)):
            self._appenders[_BUILT_IN] = self._built_in()
            if not settings.loggers:
                self._own[""] = (self._appenders[_BUILT_IN],)
        for logger in settings.loggers:
            if logger.level is not None:
                self._levels[logger.name] = logger.level
            self._additive[logger.name] = logger.additive
            self._own[logger.name] = self._named(logger.appenders)
        if self._quiet:
            self.complaints.clear()
        self._reached: dict[str, tuple[int, tuple[Appender, ...]]] = {}
        self._without_appender = False
        self._complain_to = ConsoleTarget(complain_to)

    @property
    def appenders(self) -> list[Appender]:
        """Every appender that could be made."""
        return list(self._appenders.values())

    @property
    def least_level(self) -> int:
        """The lowest level that any logger is enabled for."""
        return min(self._levels.values())

    @property
    def is_mute(self) -> bool:
        """Whether loggers name appenders but no line could reach any of them."""
        named = {appender for own in self._own.values() for appender in own}
        usable = [
            appender
            for appender in named
            if not (isinstance(appender.target, FileTarget) and appender.target.fd is None)
        ]
        return bool(named) and not usable

    def is_enabled(self, logger: str, level: int) -> bool:
        """Whether an event of that level, sent to that logger, goes anywhere."""
        return level >= self._reach(logger)[0]

    def log(self, event: LogEvent) -> None:
        """Send an event to its logger."""
        level, appenders = self._reach(event.logger)
        if event.level < level:
            return
        if not appenders and not self._without_appender:
            self._without_appender = True
            for text in (
                f"No appenders could be found for logger ({event.logger}).",
                "Please initialize the log4cplus system properly.",
            ):
                self._complain_to.put(event, f"log4cplus:ERROR {text}\n")
        for appender in appenders:
            appender.append(event)

    def flush(self) -> None:
        """Write what the appenders gathered; the first OSError is raised at the end."""
        failed: OSError | None = None
        for target in (self._complain_to, *(one.target for one in self._appenders.values())):
            try:
                target.flush()
            except OSError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def _reach(self, logger: str) -> tuple[int, tuple[Appender, ...]]:
        if logger not in self._reached:
            level: int | None = None
            appenders: list[Appender] = []
            additive = True
            name = logger
            while True:
                if level is None:
                    level = self._levels.get(name)
                if additive:
                    appenders += self._own.get(name, ())
                    additive = self._additive.get(name, True)
                if not name:
                    break
                name = name.rpartition(".")[0]
            self._reached[logger] = (self._levels[""] if level is None else level, tuple(appenders))
        return self._reached[logger]

    def _complain(self, text: str) -> None:
        self.complaints.append(text)

    def _named(self, names: tuple[str, ...]) -> tuple[Appender, ...]:
        found = []
        for name in names:
            if name in self._appenders:
                found.append(self._appenders[name])
            else:
                self._complain(
                    f"ERROR PropertyConfigurator::configureLogger()- Invalid appender: {name}"
                )
        return tuple(found)

    def _built_in(self) -> Appender:
        layout = PatternLayout(BUILT_IN_PATTERN, self._complain)
        return Appender(_BUILT_IN, layout, ConsoleTarget(STDERR))

    def _appender(self, settings: OflogAppender) -> Appender | None:
        target = self._target(settings.factory, settings)
        if target is None:
            self._complain(
                "ERROR PropertyConfigurator::configureAppenders()- "
                f"Cannot find AppenderFactory: {settings.factory}"
            )
            return None
        layout: Layout = SimpleLayout()
        if settings.layout:
            try:
                layout = make_layout(
                    settings.layout,
                    settings.layout_options,
                    self._complain,
                    started_ns=self._started_ns,
                )
            except LayoutError:  # then neither threshold nor filters are read
                return Appender(settings.name, layout, target)
        filters = []
        for name, options in settings.filters:
            made = make_filter(name, options)
            if made is None:
                self._complain(f"ERROR Appender::ctor()- Cannot find FilterFactory: {name}")
            else:
                filters.append(made)
        return Appender(settings.name, layout, target, settings.threshold, tuple(filters))

    def _target(self, factory: str, settings: OflogAppender) -> Target | None:
        options, complain = settings.options, self._complain
        table: dict[str, Callable[[], Target | None]] = {
            "log4cplus::ConsoleAppender": lambda: ConsoleTarget(
                STDERR if is_true(options.get("logToStdErr"), default=False) else STDOUT
            ),
            "log4cplus::FileAppender": lambda: FileTarget(options, complain),
            "log4cplus::RollingFileAppender": lambda: RollingTarget(options, complain),
            "log4cplus::DailyRollingFileAppender": lambda: DailyTarget(options, complain),
            "log4cplus::SysLogAppender": lambda: SyslogTarget(options, complain),
            "log4cplus::NullAppender": NowhereTarget,
            "log4cplus::SocketAppender": NowhereTarget,
            "log4cplus::Log4jUdpAppender": lambda: Log4jUdpTarget(options),
            # Every output of ours has a queue: the wrapper adds nothing.
            "log4cplus::AsyncAppender": lambda: (
                None
                if options.get("Appender") == factory
                else self._target(options.get("Appender", ""), settings)
            ),
        }
        make = table.get(factory)
        return make() if make is not None else None
