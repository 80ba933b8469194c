"""DCMTK's appender filters: a chain in which the first to accept or deny decides. Plain."""

from collections.abc import Callable, Mapping, Sequence

from dicomd.logs.oflog.layouts import LogEvent

Filter = Callable[[LogEvent], bool | None]
"""True accepts, False denies, None leaves it to the next."""

_LEVELS = {
    "OFF": 60,
    "FATAL": 50,
    "ERROR": 40,
    "WARN": 30,
    "INFO": 20,
    "DEBUG": 10,
    "TRACE": 5,
    "ALL": 0,
}


def make_filter(name: str, options: Mapping[str, str]) -> Filter | None:
    """The filter of that factory name; None when there is none."""
    accept = is_true(options.get("AcceptOnMatch"), default=False)
    if name == "log4cplus::spi::DenyAllFilter":
        return lambda event: False
    if name == "log4cplus::spi::LogLevelMatchFilter":
        level = _level(options.get("LogLevelToMatch"))
        return lambda event: accept if level is not None and event.level == level else None
    if name == "log4cplus::spi::LogLevelRangeFilter":
        least, most = _level(options.get("LogLevelMin")), _level(options.get("LogLevelMax"))
        return lambda event: _in_range(event.level, least, most, accept)
    if name == "log4cplus::spi::StringMatchFilter":
        text = options.get("StringToMatch", "")
        return lambda event: accept if text and text in event.text else None
    return None


def passes(filters: Sequence[Filter], event: LogEvent) -> bool:
    """Whether the chain lets the event through; it does when nobody decides."""
    for decide in filters:
        decision = decide(event)
        if decision is not None:
            return decision
    return True


def is_true(text: str | None, *, default: bool) -> bool:
    """log4cplus' booleans: true, false in any case or a number; else the default stays."""
    if text is None:
        return default
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) != 0
    except ValueError:
        return default


def _level(text: str | None) -> int | None:
    return _LEVELS.get(text.strip().upper()) if text is not None else None


def _in_range(level: int, least: int | None, most: int | None, accept: bool) -> bool | None:
    if (least is not None and level < least) or (most is not None and level > most):
        return False
    return True if accept else None
