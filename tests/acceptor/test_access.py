"""Who may call."""

import ctypes
from pathlib import Path

import pytest

from dicomd.acceptor.access import Access
from dicomd.acceptor.hosts_access import HostsAccess
from dicomd.settings.listener import AccessSettings

CALLING, CALLED = (1, 1, 3), (1, 1, 7)
Answer = tuple[int, int, int] | None


def ask(
    settings: AccessSettings,
    *,
    calling: str = "CT1",
    called: str = "DICOMD",
    host: str = "192.0.2.7",
    certificate: str | None = None,
    strict: bool = True,
    resolved: tuple[str, ...] = (),
) -> Answer:
    refusal = Access(settings, strict=strict, resolved=resolved).refuse(
        calling_ae_title=calling, called_ae_title=called, host=host, certificate=certificate
    )
    return None if refusal is None else (refusal.result, refusal.source, refusal.reason)


def test_without_rules_anybody_may_call() -> None:
    assert ask(AccessSettings()) is None


@pytest.mark.parametrize(
    ("calling", "expected"),
    [("CT1", None), ("MR2", None), ("ct1", CALLING), ("CT", CALLING), ("CT10", CALLING)],
)
def test_calling_titles_compare_exactly(calling: str, expected: Answer) -> None:
    assert ask(AccessSettings(calling_ae_titles=("CT1", " MR2 ")), calling=calling) == expected


@pytest.mark.parametrize(
    ("called", "expected"), [("DICOMD", None), ("dicomd", CALLED), ("DICOMD2", CALLED)]
)
def test_called_titles_compare_exactly(called: str, expected: Answer) -> None:
    assert ask(AccessSettings(called_ae_titles=("DICOMD",)), called=called) == expected


@pytest.mark.parametrize("title", ["A\\B", "A\x1b", "\\xfc", "A\n"])
def test_titles_with_characters_not_allowed_are_refused(title: str) -> None:
    assert ask(AccessSettings(), calling=title) == CALLING
    assert ask(AccessSettings(), called=title) == CALLED


def test_tolerant_takes_any_characters() -> None:
    assert ask(AccessSettings(), calling="A\\B", called="\\xfc", strict=False) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.7", None),
        ("::ffff:192.0.2.7", None),
        ("192.0.3.7", CALLING),
        ("2001:db8::5", None),
        ("2001:db9::5", CALLING),
        ("fe80::1%eth0", CALLING),
        ("198.51.100.9", None),
        ("198.51.100.10", CALLING),
        ("203.0.113.1", None),
    ],
)
def test_hosts_are_networks_or_addresses(host: str, expected: Answer) -> None:
    rules = AccessSettings(hosts=("192.0.2.0/24", "2001:db8::/32", "198.51.100.9", "name.example"))
    assert ask(rules, host=host, resolved=("203.0.113.1",)) == expected


def test_certificates_bind_callers() -> None:
    rules = AccessSettings(certificates={"ct.example": ("CT1", "CT2"), "any.example": ()})
    assert ask(rules, certificate="ct.example") is None
    assert ask(rules, calling="MR1", certificate="ct.example") == CALLING
    assert ask(rules, calling="MR1", certificate="any.example") is None
    assert ask(rules, certificate="other.example") == CALLING
    assert ask(rules, certificate=None) == CALLING


def test_hosts_allow_and_deny_are_asked(tmp_path: Path) -> None:
    allow, deny = tmp_path / "hosts.allow", tmp_path / "hosts.deny"
    allow.write_text("dicomd-test: 192.0.2.\n")
    deny.write_text("dicomd-test: ALL\n")
    library = ctypes.CDLL("libwrap.so.0")
    tables = [
        (ctypes.c_char_p.in_dll(library, name), str(path).encode())
        for name, path in (("hosts_allow_table", allow), ("hosts_deny_table", deny))
    ]
    before = [table.value for table, _ in tables]
    try:
        for table, path in tables:
            table.value = path
        rules = HostsAccess("dicomd-test")
        assert rules.admits("192.0.2.7")
        assert not rules.admits("198.51.100.1")
        assert HostsAccess("another-daemon").admits("198.51.100.1")
    finally:
        for (table, _), value in zip(tables, before, strict=True):
            table.value = value
