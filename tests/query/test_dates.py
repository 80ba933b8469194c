from datetime import date

import pytest

from dicomd.query.dates import expand_dates
from dicomd.query.dictionary import QueryError

TODAY = date(2026, 3, 31)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{today}", "20260331"),
        ("{yesterday}", "20260330"),
        ("{tomorrow}", "20260401"),
        ("{-7d}", "20260324"),
        ("{-7d}-{today}", "20260324-20260331"),
        ("{-2w}-", "20260317-"),
        ("-{yesterday}", "-20260330"),
        ("{-1m}", "20260228"),
        ("{-1y}", "20250331"),
        ("{today-7d}", "20260324"),
        ("{ Yesterday }", "20260330"),
        ("20200101", "20200101"),
        ("SMITH*", "SMITH*"),
    ],
)
def test_an_expression_becomes_a_date(text: str, expected: str) -> None:
    assert expand_dates(text, TODAY) == expected


@pytest.mark.parametrize("text", ["{}", "{noon}", "{-7}", "{today", "today}", "{-99999y}", "{7d}"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(QueryError):
        expand_dates(text, TODAY)
