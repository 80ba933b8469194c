"""DCMTK's layouts: Simple, TTCC and Pattern with all its conversions. Plain: no I/O.

Behaviour as measured on DCMTK 3.6.7: what a pattern holds that is no conversion is reported and
stands in the line as it is written; ``%.N`` keeps the last N characters.
"""

import os
import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

DEFAULT_DATE = "%Y-%m-%d %H:%M:%S"
BUILT_IN_PATTERN = "%P: %m%n"
_FLAG = re.compile(r"%(.)", re.DOTALL)
_NAMES = ((50, "FATAL"), (40, "ERROR"), (30, "WARN"), (20, "INFO"), (10, "DEBUG"))


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One message of DCMTK's making. ``level`` is Python's number; ``origin`` our own logger."""

    time_ns: int
    level: int
    logger: str
    text: str
    pid: int
    origin: str = ""


class Layout(Protocol):
    """An event to the characters that are written."""

    def format(self, event: LogEvent) -> str:
        """The event, line end included if the layout has one."""


class LayoutError(Exception):
    """The layout cannot be made; SimpleLayout takes its place."""


def level_name(level: int) -> str:
    """DCMTK's name of a level."""
    return next((name for least, name in _NAMES if level >= least), "TRACE")


def make_layout(
    name: str,
    options: Mapping[str, str],
    complain: Callable[[str], None],
    *,
    started_ns: int,
) -> Layout:
    """The layout of that factory name. LayoutError when it is not known or not complete."""
    if name == "log4cplus::SimpleLayout":
        return SimpleLayout()
    if name == "log4cplus::TTCCLayout":
        gmt = options.get("Use_gmtime", "").lower() == "true"
        return TtccLayout(options.get("DateFormat", ""), gmt=gmt, started_ns=started_ns)
    if name == "log4cplus::PatternLayout":
        pattern = options.get("ConversionPattern")
        if "Pattern" in options:
            complain(
                'WARN PatternLayout- the "Pattern" property has been deprecated.  '
                'Use "ConversionPattern" instead.'
            )
            pattern = options.get("ConversionPattern", options["Pattern"])
        if pattern is None:
            text = "ConversionPattern not specified in properties"
            complain(f"ERROR {text}")
            complain(f"ERROR Error while creating Layout: {text}")
            raise LayoutError(text)
        each = options.get("FormatEachLine", "").lower() not in ("false", "0")
        return PatternLayout(pattern, complain, each_line=each, started_ns=started_ns)
    complain(f'ERROR Cannot find LayoutFactory: "{name}"')
    raise LayoutError(name)


class SimpleLayout:
    """``LEVEL - message``."""

    def format(self, event: LogEvent) -> str:
        """The line."""
        return f"{level_name(event.level)} - {event.text}\n"


class TtccLayout:
    """``TIME [thread] LEVEL logger <NDC> - message``; without a format, TIME is milliseconds
    since the start."""

    def __init__(self, date_format: str, *, gmt: bool, started_ns: int) -> None:
        self._date_format = date_format
        self._gmt = gmt
        self._started_ns = started_ns

    def format(self, event: LogEvent) -> str:
        """The line."""
        if self._date_format:
            moment = format_time(self._date_format, event.time_ns, gmt=self._gmt)
        else:
            moment = str(max(event.time_ns - self._started_ns, 0) // 1_000_000)
        level = level_name(event.level)
        return f"{moment} [{event.pid}] {level} {event.logger} <> - {event.text}\n"


def format_time(pattern: str, time_ns: int, *, gmt: bool) -> str:
    """strftime, and DCMTK's own: ``%q`` milliseconds, ``%Q`` with fraction, ``%s`` seconds."""
    second, rest = divmod(time_ns, 1_000_000_000)
    micro = rest // 1000
    own = {"q": f"{micro // 1000:03d}", "Q": f"{micro // 1000:03d}.{micro % 1000:03d}"}
    own["s"] = str(second)
    pattern = _FLAG.sub(lambda found: own.get(found[1], found[0]), pattern)
    return time.strftime(pattern, time.gmtime(second) if gmt else time.localtime(second))


@dataclass(slots=True)
class _Part:
    """A conversion with its width, or literal text."""

    make: Callable[[LogEvent], str]
    least: int = 0
    most: int = 1 << 30
    left: bool = False

    def format(self, event: LogEvent) -> str:
        text = self.make(event)
        if len(text) > self.most:
            return text[len(text) - self.most :]
        return text.ljust(self.least) if self.left else text.rjust(self.least)


class PatternLayout:
    """printf-like patterns, compiled once."""

    def __init__(
        self,
        pattern: str,
        complain: Callable[[str], None],
        *,
        each_line: bool = True,
        started_ns: int = 0,
    ) -> None:
        self._each_line = each_line
        self._started_ns = started_ns
        self._built_in = pattern == BUILT_IN_PATTERN
        self._parts = self._compile(pattern, complain)

    def format(self, event: LogEvent) -> str:
        """The line or lines: with FormatEachLine each line of a message is formatted by itself."""
        if self._each_line and "\n" in event.text:
            return "".join(
                self._format(
                    LogEvent(
                        event.time_ns, event.level, event.logger, line, event.pid, event.origin
                    )
                )
                for line in event.text.split("\n")
            )
        return self._format(event)

    def _format(self, event: LogEvent) -> str:
        if self._built_in:
            return f"{level_name(event.level)[0]}: {event.text}\n"
        return "".join(part.format(event) for part in self._parts)

    def _compile(self, pattern: str, complain: Callable[[str], None]) -> list[_Part]:
        parts: list[_Part] = []
        literal = ""
        position = 0
        while position < len(pattern):
            character = pattern[position]
            position += 1
            if character != "%" or position == len(pattern):
                literal += character
                continue
            if pattern[position] == "%":
                literal += "%"
                position += 1
                continue
            if literal:
                parts.append(_literal(literal))
            literal, position = self._conversion(pattern, position, parts, complain)
        if literal:
            parts.append(_literal(literal))
        return parts

    def _conversion(
        self, pattern: str, position: int, parts: list[_Part], complain: Callable[[str], None]
    ) -> tuple[str, int]:
        """Read one conversion behind its ``%``. Returns literal text left over, and where to go
        on."""
        start = position - 1
        left = False
        while position < len(pattern) and pattern[position] == "-":
            left = True
            position += 1
        found = re.compile(r"(\d*)(\.?)(\d*)").match(pattern, position)
        assert found
        position = found.end()
        if position == len(pattern):
            return pattern[start:], position
        character = pattern[position]
        position += 1
        if found[2] and not found[3]:
            complain(
                f"ERROR Error occurred in position {position}.\n"
                f' Was expecting digit, instead got char "{character}".'
            )
            return pattern[start:position], position
        option = ""
        if character in "cDdX" and pattern.startswith("{", position):
            closing = pattern.find("}", position)
            if closing < 0:
                complain(f"ERROR No matching '}}' found in conversion pattern string \"{pattern}\"")
            else:
                option = pattern[position + 1 : closing]
                position = closing + 1
        make = self._make(character, option)
        if make is None:
            complain(
                f"ERROR Unexpected char [{character}] at position {position} in conversion pattern."
            )
            parts.append(_literal(pattern[start:position]))
        else:
            most = int(found[3]) if found[3] else 1 << 30
            parts.append(_Part(make, int(found[1] or 0), most, left))
        return "", position

    def _make(self, character: str, option: str) -> Callable[[LogEvent], str] | None:
        date = option or DEFAULT_DATE
        last = int(option) if option.isdigit() else 0
        table: dict[str, Callable[[LogEvent], str]] = {
            "p": lambda event: level_name(event.level),
            "P": lambda event: level_name(event.level)[0],
            "m": lambda event: event.text,
            "n": lambda _: "\n",
            "c": lambda event: ".".join(event.logger.split(".")[-last:]),
            "t": lambda event: str(event.pid),
            "T": lambda event: str(event.pid),
            "i": lambda event: str(event.pid),
            "D": lambda event: format_time(date, event.time_ns, gmt=False),
            "d": lambda event: format_time(date, event.time_ns, gmt=True),
            "h": lambda _: _host(),
            "H": lambda _: _full_host(),
            "r": lambda event: str(max(event.time_ns - self._started_ns, 0) // 1_000_000),
            "F": lambda event: event.origin,
            "b": lambda event: event.origin,
            "M": lambda event: event.origin,
            "L": lambda _: "0",
            "l": lambda event: f"{event.origin}:0",
            "x": lambda _: "",
            "X": lambda _: "",
        }
        return table.get(character)


def _literal(text: str) -> _Part:
    return _Part(lambda _: text)


@cache
def _host() -> str:
    return os.uname().nodename.partition(".")[0]


@cache
def _full_host() -> str:
    return socket.getfqdn()
