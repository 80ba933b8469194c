"""DCMTK log configuration text (oflog, a log4cplus 1.1 dialect) -> DcmtkLogSettings. Plain.

Keys mean what they mean to DCMTK 3.6.7, case and all; ``read_oflog`` is the one function that
opens a file. What that program refuses is a ConfigError in its words. What it swallows without a
word (misspelt keys, trailing comments, sizes it raises) is returned as faults with their line.
Making the appenders, and what log4cplus says while it does so, is ``logs``' work.
"""

import difflib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

from dicomd.errors import ConfigError, Fault
from dicomd.settings.log import DcmtkLogSettings, OflogAppender, OflogLogger

LEVELS = {
    "OFF": 60,
    "FATAL": 50,
    "ERROR": 40,
    "WARN": 30,
    "INFO": 20,
    "DEBUG": 10,
    "TRACE": 5,
    "ALL": 0,
}
"""DCMTK's level names as Python's numbers."""

_PREFIX = "log4cplus."
_GENERAL = ("rootLogger", "configDebug", "quietMode", "disableOverride")
_FILE = (
    "File",
    "Append",
    "ImmediateFlush",
    "ReopenDelay",
    "BufferSize",
    "Locale",
    "CreateDirs",
    "UseLockFile",
    "LockFile",
)
FACTORIES: dict[str, tuple[str, ...]] = {
    "log4cplus::ConsoleAppender": ("logToStdErr", "ImmediateFlush", "Locale"),
    "log4cplus::FileAppender": _FILE,
    "log4cplus::RollingFileAppender": (*_FILE, "MaxFileSize", "MaxBackupIndex"),
    "log4cplus::DailyRollingFileAppender": (*_FILE, "Schedule", "MaxBackupIndex"),
    "log4cplus::SysLogAppender": ("ident", "facility", "host", "port"),
    "log4cplus::NullAppender": (),
    "log4cplus::SocketAppender": ("host", "port", "ServerName"),
    "log4cplus::Log4jUdpAppender": ("host", "port"),
    "log4cplus::AsyncAppender": ("Appender", "QueueLimit"),
}
LAYOUTS: dict[str, tuple[str, ...]] = {
    "log4cplus::SimpleLayout": (),
    "log4cplus::TTCCLayout": ("DateFormat", "Use_gmtime"),
    "log4cplus::PatternLayout": (
        "ConversionPattern",
        "Pattern",
        "FormatEachLine",
        "NDCMaxDepth",
    ),
}
FILTERS: dict[str, tuple[str, ...]] = {
    "log4cplus::spi::DenyAllFilter": (),
    "log4cplus::spi::LogLevelMatchFilter": ("LogLevelToMatch", "AcceptOnMatch"),
    "log4cplus::spi::LogLevelRangeFilter": ("LogLevelMin", "LogLevelMax", "AcceptOnMatch"),
    "log4cplus::spi::StringMatchFilter": ("StringToMatch", "AcceptOnMatch"),
}
_BOOLEANS = {
    "logToStdErr",
    "ImmediateFlush",
    "Append",
    "UseLockFile",
    "CreateDirs",
    "Use_gmtime",
    "FormatEachLine",
    "AcceptOnMatch",
}
_NUMBERS = {
    "ReopenDelay",
    "BufferSize",
    "MaxBackupIndex",
    "port",
    "NDCMaxDepth",
    "QueueLimit",
}
_LEVEL_OPTIONS = {"LogLevelToMatch", "LogLevelMin", "LogLevelMax"}
_SCHEDULES = ("MONTHLY", "WEEKLY", "DAILY", "TWICE_DAILY", "HOURLY", "MINUTELY")
_MOST_EXPANSIONS = 200
_MOST_CHARACTERS = 65536
MIN_FILE_BYTES = 200 * 1024
"""The least MaxFileSize of DCMTK 3.6.7; smaller ones are raised to it."""


def read_oflog(path: str, *, application: str = "dcmrecv") -> tuple[DcmtkLogSettings, list[Fault]]:
    """The file's settings, and what deserves a warning. ConfigError as DCMTK refuses the file."""
    file = Path(path)
    if not file.exists():
        raise ConfigError([Fault(path, 0, 0, "Specified --log-config file does not exist")])
    try:
        data = file.read_bytes()
    except OSError as error:
        text = "Specified --log-config file cannot be read"
        raise ConfigError([Fault(path, 0, 0, text)]) from error
    now = datetime.now().astimezone()
    predefined = {
        "appname": application,
        "hostname": socket.gethostname().partition(".")[0],
        "pid": str(os.getpid()),
        "date": now.strftime("%Y%m%d"),
        "time": now.strftime("%H%M%S"),
    }
    return parse_oflog(
        data.decode("utf-8", "surrogateescape"),
        file=path,
        application=application,
        predefined=predefined,
        environment=os.environ,
    )


def parse_oflog(
    text: str,
    *,
    file: str,
    application: str,
    predefined: Mapping[str, str],
    environment: Mapping[str, str],
) -> tuple[DcmtkLogSettings, list[Fault]]:
    """``predefined`` are the variables that the program sets itself: appname, hostname, pid, date
    and time."""
    return _Reading(file, application).read(text, predefined, environment)


def level_of(name: str) -> int | None:
    """A level name in any case; None for one that DCMTK does not know (INHERITED among them)."""
    return LEVELS.get(name.strip().upper())


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    value: str


class _Reading:
    """One file being read. Mutable: faults and complaints as they are found."""

    def __init__(self, file: str, application: str) -> None:
        self._file = file
        self._application = application
        self._faults: list[Fault] = []
        self._complaints: list[str] = []
        self._used: set[str] = set()

    def read(
        self, text: str, predefined: Mapping[str, str], environment: Mapping[str, str]
    ) -> tuple[DcmtkLogSettings, list[Fault]]:
        lines = self._lines(text)
        if not lines:
            self._refuse("Specified --log-config file does not contain any settings")
        if not any(key.startswith(_PREFIX) for key in lines):
            self._refuse("Specified --log-config file does not contain any valid settings")
        lines = self._expanded(lines, predefined, environment)
        ours = {
            key.removeprefix(_PREFIX): line
            for key, line in lines.items()
            if key.startswith(_PREFIX)
        }
        if "rootLogger" not in ours:
            self._refuse("Specified --log-config file does not set up log4cplus.rootLogger")
        appenders = self._appenders(ours)
        loggers = self._loggers(ours)
        root = loggers[0] if loggers and not loggers[0].name else None
        self._check_keys(ours, lines, appenders)
        self._check_use(ours, loggers, appenders)
        settings = DcmtkLogSettings(
            application=self._application,
            level=20 if root is None or root.level is None else root.level,
            loggers=loggers,
            appenders=appenders,
            quiet=_boolean(ours["quietMode"].value) is True if "quietMode" in ours else False,
            file=self._file,
            complaints=tuple(self._complaints),
            doubts=tuple(str(fault) for fault in sorted(self._faults)),
        )
        return settings, sorted(self._faults)

    def _refuse(self, text: str, line: int = 0) -> NoReturn:
        raise ConfigError([Fault(self._file, line, 0, text)])

    def _doubt(self, line: int, text: str) -> None:
        self._faults.append(Fault(self._file, line, 0, text))

    def _lines(self, text: str) -> dict[str, _Line]:
        found: dict[str, _Line] = {}
        for number, raw in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            key, equals, value = line.partition("=")
            key, value = key.strip(), value.strip()
            if not equals:
                self._doubt(number, "not `key = value`: the line is not read")
                continue
            if key in found:
                self._doubt(
                    found[key].number, f"'{key}' is set again in line {number}, which counts"
                )
            if re.search(r"\s#", value) and not key.endswith("Pattern"):
                self._doubt(number, "a comment cannot follow a value: it becomes part of it")
            found[key] = _Line(number, value)
        return found

    def _expanded(
        self,
        lines: dict[str, _Line],
        predefined: Mapping[str, str],
        environment: Mapping[str, str],
    ) -> dict[str, _Line]:
        values = {key: line.value for key, line in lines.items()}
        for name, value in predefined.items():
            if name in values:
                self._doubt(lines[name].number, f"'{name}' is set by the program itself: not read")
            values[name] = value

        def look_up(name: str) -> str:
            self._used.add(name)
            return values.get(name) or environment.get(name, "")

        expanded: dict[str, _Line] = {}
        for key, line in lines.items():
            key = self._expand(key, line.number, look_up)
            value = self._expand(line.value, line.number, look_up)
            if key.startswith(_PREFIX) or key not in predefined:
                expanded[key] = _Line(line.number, value.strip())
        return expanded

    def _expand(self, text: str, line: int, look_up: Callable[[str], str]) -> str:
        """Replace ``${name}`` until none is left that is known. Names that refer to themselves
        would never end: they stay, and are reported."""
        result, start = text, 0
        for _ in range(_MOST_EXPANSIONS):
            opening = result.find("${", start)
            if opening < 0:
                return result
            closing = result.find("}", opening)
            if closing < 0:
                self._complaints.append(
                    f'ERROR "{result}" has no closing brace. Opening brace at position {opening}.'
                )
                return text
            name = result[opening + 2 : closing]
            value = look_up(name)
            if value:
                result = result[:opening] + value + result[closing + 1 :]
                if len(result) > _MOST_CHARACTERS:
                    break
            else:
                self._doubt(line, f"variable '{name}' is not set: it stays as it is written")
                start = closing + 1
        self._doubt(line, "a variable refers to itself: the value is left as it is written")
        return text

    def _appenders(self, ours: Mapping[str, _Line]) -> tuple[OflogAppender, ...]:
        found = []
        for key, line in sorted(ours.items()):
            name = key.removeprefix("appender.")
            if key.startswith("appender.") and "." not in name:
                found.append(self._appender(name, line.value, _below(ours, key)))
        return tuple(found)

    def _appender(self, name: str, factory: str, options: dict[str, _Line]) -> OflogAppender:
        filters = []
        number = 1
        while (key := f"filters.{number}") in options:
            below = _below(options, key)
            filters.append((options[key].value, {k: line.value for k, line in below.items()}))
            number += 1
        threshold = level_of(options["Threshold"].value) if "Threshold" in options else None
        return OflogAppender(
            name=name,
            factory=factory,
            options={
                key: line.value
                for key, line in options.items()
                if not key.startswith(("layout", "filters.")) and key != "Threshold"
            },
            layout=options["layout"].value if "layout" in options else "",
            layout_options={key: line.value for key, line in _below(options, "layout").items()},
            threshold=threshold or 0,
            filters=tuple(filters),
        )

    def _loggers(self, ours: Mapping[str, _Line]) -> tuple[OflogLogger, ...]:
        additive: dict[str, bool] = {}
        for key, line in ours.items():
            if key.startswith("additivity."):
                value = _boolean(line.value)
                if value is None:
                    self._doubt(line.number, f"'{line.value}' is not true or false: not read")
                else:
                    additive[key.removeprefix("additivity.")] = value
        found: list[OflogLogger] = []
        root = self._logger("", ours["rootLogger"], True)
        if root is not None:
            found.append(root)
        for key, line in sorted(ours.items()):
            if key.startswith("logger."):
                name = key.removeprefix("logger.")
                logger = self._logger(name, line, additive.pop(name, True))
                if logger is not None:
                    found.append(logger)
        found += [OflogLogger(name=name, additive=value) for name, value in additive.items()]
        return tuple(found)

    def _logger(self, name: str, line: _Line, additive: bool) -> OflogLogger | None:
        value = re.sub(r"\s", "", line.value)
        words = value.split(",")
        if not value:
            self._complaints.append(
                "ERROR PropertyConfigurator::configureLogger()- "
                f'Invalid config string(Logger = {name or "root"}): ""'
            )
            return None if name else OflogLogger(name="", level=20, appenders=("",))
        level = level_of(words[0])
        if level is None and not name:
            self._refuse(
                f"log4cplus.rootLogger has unknown log level '{words[0]}'; "
                f"there are {', '.join(LEVELS)}",
                line.number,
            )
        if level is None and words[0].upper() not in ("INHERITED", ""):
            self._doubt(line.number, f"unknown level '{words[0]}' counts as INHERITED")
        appenders = tuple(dict.fromkeys(word for word in words[1:] if word))
        return OflogLogger(name=name, level=level, appenders=appenders, additive=additive)

    def _check_keys(
        self,
        ours: Mapping[str, _Line],
        lines: Mapping[str, _Line],
        appenders: tuple[OflogAppender, ...],
    ) -> None:
        factories = {appender.name: appender for appender in appenders}
        for key, line in ours.items():
            first, _, rest = key.partition(".")
            if first in ("logger", "additivity") and rest:
                continue
            if first == "appender" and rest:
                name, _, option = rest.partition(".")
                if name not in factories:
                    self._doubt(line.number, f"there is no appender '{name}': not read")
                elif option:
                    self._check_option(line, factories[name], option)
                continue
            if key not in _GENERAL:
                known = (*_GENERAL, "logger.NAME", "appender.NAME", "additivity.NAME")
                self._unknown(line.number, _PREFIX + key, [_PREFIX + name for name in known])
        for key, line in lines.items():
            if not key.startswith(_PREFIX) and key not in self._used:
                text = f"'{key}' does not begin with '{_PREFIX}' and no variable names it: not read"
                self._doubt(line.number, text)

    def _check_option(self, line: _Line, appender: OflogAppender, option: str) -> None:
        first, _, rest = option.partition(".")
        if first == "layout":
            known = LAYOUTS.get(appender.layout)
            if rest and known is not None:
                self._check_value(line, rest, known, f"layout {appender.layout}")
            elif not rest and known is None:
                self._unknown(line.number, appender.layout, list(LAYOUTS), "layout")
            return
        if first == "filters":
            self._check_filter(line, appender, rest)
            return
        if option == "Threshold":
            if level_of(line.value) is None:
                self._doubt(line.number, f"unknown level '{line.value}': there is no threshold")
            return
        options = FACTORIES.get(appender.factory)
        if options is not None:
            self._check_value(
                line, option, (*options, "layout", "Threshold", "filters.1"), appender.factory
            )
        if option == "MaxFileSize":
            self._check_size(line)
        if option == "Schedule" and line.value.upper() not in _SCHEDULES:
            self._doubt(line.number, f"'{line.value}' is no schedule: DAILY is used")

    def _check_filter(self, line: _Line, appender: OflogAppender, rest: str) -> None:
        number, _, option = rest.partition(".")
        if not number.isdigit() or not 1 <= int(number) <= len(appender.filters):
            text = f"filter '{number}' is not read: filters count 1, 2, 3 without a gap"
            self._doubt(line.number, text)
            return
        factory = appender.filters[int(number) - 1][0]
        if not option:
            if factory not in FILTERS:
                self._unknown(line.number, factory, list(FILTERS), "filter")
        elif factory in FILTERS:
            self._check_value(line, option, FILTERS[factory], factory)

    def _check_value(self, line: _Line, option: str, known: tuple[str, ...], what: str) -> None:
        if option not in known:
            self._unknown(line.number, option, list(known), f"{what} option")
        elif option in _BOOLEANS and _boolean(line.value) is None:
            self._doubt(line.number, f"{option}: '{line.value}' is not true or false: not read")
        elif option in _NUMBERS and not re.fullmatch(r"-?\d+", line.value):
            self._doubt(line.number, f"{option}: '{line.value}' is not a number: not read")
        elif option in _LEVEL_OPTIONS and level_of(line.value) is None:
            self._doubt(line.number, f"{option}: unknown level '{line.value}': not read")

    def _check_size(self, line: _Line) -> None:
        match = re.match(r"(\d+)\s*(KB|MB)?$", line.value, re.IGNORECASE)
        if match is None:
            self._doubt(line.number, f"MaxFileSize: '{line.value}' is not a size as in 500KB, 2MB")
            return
        factor = {"KB": 1 << 10, "MB": 1 << 20}.get((match[2] or "").upper(), 1)
        if int(match[1]) * factor < MIN_FILE_BYTES:
            self._doubt(line.number, f"MaxFileSize: {line.value} is raised to the least, 200KB")

    def _check_use(
        self,
        ours: Mapping[str, _Line],
        loggers: tuple[OflogLogger, ...],
        appenders: tuple[OflogAppender, ...],
    ) -> None:
        named = {name for logger in loggers for name in logger.appenders if name}
        for appender in appenders:
            line = ours[f"appender.{appender.name}"]
            if appender.factory not in FACTORIES:
                self._unknown(line.number, appender.factory, list(FACTORIES), "appender")
            if appender.name not in named:
                self._doubt(line.number, f"no logger names appender '{appender.name}'")
        known = {appender.name for appender in appenders if appender.factory in FACTORIES}
        silent = loggers[0].level == LEVELS["OFF"] if loggers else False
        if named and not named & known and not silent:
            self._refuse(
                "no appender that a logger names can be made, so nothing would be logged",
                ours["rootLogger"].number,
            )

    def _unknown(self, line: int, name: str, known: list[str], what: str = "key") -> None:
        lower = {candidate.lower(): candidate for candidate in known}
        near = lower.get(name.lower()) or next(
            iter(difflib.get_close_matches(name, known, 1, 0.7)), ""
        )
        remedy = f"; did you mean '{near}'?" if near else ""
        self._doubt(line, f"unknown {what} '{name}' is not read{remedy}")


def _below(options: Mapping[str, _Line], key: str) -> dict[str, _Line]:
    prefix = key + "."
    return {
        name.removeprefix(prefix): line for name, line in options.items() if name.startswith(prefix)
    }


def _boolean(text: str) -> bool | None:
    """log4cplus' booleans: true, false in any case, or a number; None for anything else."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) != 0
    except ValueError:
        return None
