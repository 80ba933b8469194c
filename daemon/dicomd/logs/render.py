"""A record as a line: JSON, console, or the fields that syslog and the journal take. Plain."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any

from dicomd.logs.channel import Record
from dicomd.logs.privacy import escape

Render = Callable[[Record], str]
"""A record to its line, line end included."""

LEVEL_NAMES = {
    5: "trace",
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
_SYSLOG_SEVERITY = ((50, 2), (40, 3), (30, 4), (20, 6))  # RFC 5424 6.2.1
_encode_text = json.encoder.encode_basestring_ascii


def _facts_encoder() -> Callable[[dict[str, Any]], str]:
    """``json.dumps`` with its C encoder made once instead of once a call: half the time."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(separators=(", ", ": "), default=str).encode
    encode = make(None, str, _encode_text, None, ": ", ", ", False, False, True)
    return lambda facts: "".join(encode(facts, 0))


class Clock:
    """Renders times of records; the second's text is kept, since lines come in runs."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def utc(self, time_ns: int) -> str:
        """RFC 3339 in UTC with microseconds."""
        second, rest = divmod(time_ns, 1_000_000_000)
        if second != self._second:
            self._second = second
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{rest // 1000:06d}Z"


def level_name(level: int) -> str:
    """The name of a level; one between two names has the lower's."""
    return LEVEL_NAMES.get(level) or next(
        (name for number, name in sorted(LEVEL_NAMES.items(), reverse=True) if number <= level),
        "trace",
    )


def severity(level: int) -> int:
    """The severity that syslog and the journal know."""
    return next((number for least, number in _SYSLOG_SEVERITY if level >= least), 7)


def json_line() -> Render:
    """One JSON object a line, ASCII only, so that no byte of a peer can break or fake a line."""
    clock = Clock()
    heads: dict[tuple[int, str, str, int], str] = {}
    encode = _facts_encoder()

    def render(record: Record) -> str:
        time_ns, level, logger, event, pid, facts = record
        head = heads.get((level, logger, event, pid))
        if head is None:
            if len(heads) > 1000:
                heads.clear()
            head = (
                f'", "level": "{level_name(level)}", "event": {_encode_text(event)}'
                f', "logger": {_encode_text(logger)}, "pid": {pid}'
            )
            heads[level, logger, event, pid] = head
        start = '{"timestamp": "' + clock.utc(time_ns) + head
        if not facts:
            return start + "}\n"
        return start + ", " + encode(facts)[1:] + "\n"

    return render


def console_line() -> Render:
    """For people: time, level, event, then the facts as ``key=value``."""
    clock = Clock()

    def render(record: Record) -> str:
        time_ns, level, logger, event, pid, facts = record
        facts = dict(facts)
        traceback = facts.pop("traceback", "")
        words = "".join(f" {key}={_value(value)}" for key, value in facts.items())
        line = (
            f"{clock.utc(time_ns)} {level_name(level):<8} {escape(event):<24}"
            f"{words} [{escape(logger)} {pid}]\n"
        )
        return line + "".join(f"  {escape(part)}\n" for part in str(traceback).splitlines())

    return render


def message_text(record: Record) -> str:
    """Event and facts without time and level, for syslog and the journal's MESSAGE."""
    facts = {key: value for key, value in record[5].items() if key != "traceback"}
    return escape(record[3]) + "".join(f" {key}={_value(value)}" for key, value in facts.items())


def _value(value: Any) -> str:
    if isinstance(value, str):
        text = escape(value)
        return text if text and " " not in text and '"' not in text else json.dumps(text)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (dict, list, tuple)):
        return escape(json.dumps(value, default=str))
    return escape(str(value))
