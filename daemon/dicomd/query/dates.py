"""Date expressions in matching keys: ``{today}``, ``{yesterday}``, ``{-7d}``, ranges of them.

An expression in braces becomes a date as DICOM writes it (YYYYMMDD), so ``{-7d}-{today}`` is a
range of dates (PS3.4 C.2.2.2.5) and ``{-7d}-`` everything since.
"""

import calendar
import re
from datetime import date, timedelta

from dicomd.query.dictionary import QueryError

_EXPRESSION = re.compile(r"\{([^{}]*)\}")
_OFFSET = re.compile(r"(?:today)?\s*([+-]\s*\d{1,5})\s*([dwmy])")
_NAMED = {"today": 0, "yesterday": -1, "tomorrow": 1}


def expand_dates(text: str, today: date) -> str:
    """The text with every expression replaced; QueryError for braces that are none. The error does
    not quote the text: it goes to the log, and a key may name a patient.

    ``today`` is the date in the job's time zone. Days and weeks count back or forth from it;
    months and years keep the day of the month, or the month's last day where it has no such day.
    """

    def replace(match: re.Match[str]) -> str:
        return _date_of(match[1].strip().lower(), today).strftime("%Y%m%d")

    expanded = _EXPRESSION.sub(replace, text)
    if "{" in expanded or "}" in expanded:
        raise QueryError("unbalanced braces; write a date as {today} or {-7d}")
    return expanded


def _date_of(expression: str, today: date) -> date:
    if expression in _NAMED:
        return today + timedelta(days=_NAMED[expression])
    match = _OFFSET.fullmatch(expression)
    if match is None:
        raise QueryError(
            "what stands in braces is not a date; write {today}, {yesterday}, {tomorrow}, or an "
            "offset in days, weeks, months or years: {-7d}, {-2w}, {-3m}, {-1y}"
        )
    count = int(match[1].replace(" ", ""))
    try:
        if match[2] in "dw":
            return today + timedelta(days=count * (7 if match[2] == "w" else 1))
        months = today.year * 12 + today.month - 1 + count * (12 if match[2] == "y" else 1)
        year, month = divmod(months, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return date(year, month + 1, min(today.day, last))
    except (ValueError, OverflowError, calendar.IllegalMonthError) as exc:
        raise QueryError(f"{{{expression}}} is outside the calendar") from exc
