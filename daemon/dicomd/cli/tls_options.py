"""The TLS options of DCMTK's tools, as far as Python's ssl can do what they ask.

Seeds of the random generator are accepted and not needed: OpenSSL seeds itself. Diffie-Hellman
parameters are those that OpenSSL chooses.
"""

import os
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from dicomd.cli.options import CommandLine, Option, Section
from dicomd.settings.listener import TlsSettings

SECTIONS = (
    Section(
        "transport layer security (TLS) options",
        (
            Option("--disable-tls", "-tls", "plain TCP (default)"),
            Option(
                "--enable-tls",
                "+tls",
                "TLS with private key K and certificate C",
                ("K: a file", "C: a file"),
            ),
        ),
    ),
    Section(
        "with +tls, the private key's password",
        (
            Option("--std-passwd", "+ps", "ask for it on the terminal (default)"),
            Option("--use-passwd", "+pw", "it is P", ("P: text",)),
            Option("--null-passwd", "-pw", "it is empty"),
        ),
        depth=1,
    ),
    Section(
        "with +tls, format of keys and certificates",
        (
            Option("--pem-keys", "-pem", "PEM (default)"),
            Option("--der-keys", "-der", "DER"),
        ),
        depth=1,
    ),
    Section(
        "with +tls, authorities and revocation lists",
        (
            Option("--add-cert-file", "+cf", "trust the certificates in file F", ("F: a file",)),
            Option("--add-cert-dir", "+cd", "trust the certificates in folder D", ("D: a folder",)),
            Option("--add-crl-file", "+crl", "read revocation lists; implies +crv", ("F: a file",)),
            Option("--enable-crl-vfy", "+crv", "look peers' certificates up in the lists"),
            Option("--enable-crl-all", "+cra", "look the whole chain up in the lists"),
        ),
        depth=1,
    ),
    Section(
        "with +tls, security profile",
        (
            Option("--profile-bcp195-nd", "+py", "BCP 195, TLS 1.2 or newer (default)"),
            Option("--profile-bcp195", "+px", "BCP 195; older TLS is not spoken here either"),
            Option("--profile-bcp195-ex", "+pz", "BCP 195, extended"),
            Option("--profile-aes", "+pa", "AES profile, retired"),
            Option("--profile-null", "+pn", "authentication without encryption, retired"),
        ),
        depth=1,
    ),
    Section(
        "with +tls, ciphers",
        (
            Option("--list-ciphers", "+cc", "list the cipher suites and end", ends=True),
            Option("--cipher", "+cs", "allow this suite too; not with +pz", ("C: a suite",)),
            Option("--dhparam", "+dp", "accepted; OpenSSL chooses", ("F: a file",)),
            Option("--seed", "+rs", "accepted; OpenSSL seeds itself", ("F: a file",)),
            Option("--write-seed", "+ws", "accepted, with +rs"),
            Option("--write-seed-file", "+wf", "accepted, with +rs", ("F: a file",)),
        ),
        depth=1,
    ),
    Section(
        "with +tls, peers' certificates",
        (
            Option("--require-peer-cert", "-rc", "each peer has a valid one (default)"),
            Option("--verify-peer-cert", "-vc", "valid if there is one"),
            Option("--ignore-peer-cert", "-ic", "not looked at"),
        ),
        depth=1,
    ),
)

SUITES = {
    "TLS_RSA_WITH_NULL_SHA": "NULL-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA": "CAMELLIA128-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_CAMELLIA_256_CBC_SHA": "CAMELLIA256-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA256": "AES256-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_DHE_DSS_WITH_AES_128_CBC_SHA": "DHE-DSS-AES128-SHA",
    "TLS_DHE_DSS_WITH_CAMELLIA_128_CBC_SHA": "DHE-DSS-CAMELLIA128-SHA",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA": "DHE-RSA-AES128-SHA",
    "TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA": "DHE-RSA-CAMELLIA128-SHA",
    "TLS_DHE_DSS_WITH_AES_128_CBC_SHA256": "DHE-DSS-AES128-SHA256",
    "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256": "DHE-RSA-AES128-SHA256",
    "TLS_DHE_DSS_WITH_AES_128_GCM_SHA256": "DHE-DSS-AES128-GCM-SHA256",
    "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256": "DHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384": "ECDHE-ECDSA-AES256-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384": "ECDHE-RSA-AES256-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_DHE_DSS_WITH_AES_256_CBC_SHA": "DHE-DSS-AES256-SHA",
    "TLS_DHE_RSA_WITH_AES_256_CBC_SHA": "DHE-RSA-AES256-SHA",
    "TLS_DHE_DSS_WITH_CAMELLIA_256_CBC_SHA": "DHE-DSS-CAMELLIA256-SHA",
    "TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA": "DHE-RSA-CAMELLIA256-SHA",
    "TLS_DHE_DSS_WITH_AES_256_CBC_SHA256": "DHE-DSS-AES256-SHA256",
    "TLS_DHE_RSA_WITH_AES_256_CBC_SHA256": "DHE-RSA-AES256-SHA256",
    "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "DHE-RSA-CHACHA20-POLY1305",
    "TLS_DHE_DSS_WITH_AES_256_GCM_SHA384": "DHE-DSS-AES256-GCM-SHA384",
    "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384": "DHE-RSA-AES256-GCM-SHA384",
}
"""Names of cipher suites as TLS registers them (RFC 5246, 5288, 5289, 5932, 7905) and as OpenSSL
calls them."""

Profile = Literal["bcp-195", "bcp-195-nd", "bcp-195-ex", "aes", "null"]
_PROFILES: dict[str, Profile] = {
    "--profile-bcp195": "bcp-195",
    "--profile-bcp195-nd": "bcp-195-nd",
    "--profile-bcp195-ex": "bcp-195-ex",
    "--profile-aes": "aes",
    "--profile-null": "null",
}
PeerCheck = Literal["required", "optional", "none"]
_PEERS: dict[str, PeerCheck] = {
    "--require-peer-cert": "required",
    "--ignore-peer-cert": "none",
    "--verify-peer-cert": "optional",
}
_ENABLE = "--enable-tls"


def tls_of(line: CommandLine) -> TlsSettings | None:
    """What the options ask for; None without TLS. Raises CommandLineError.

    Evaluated in DCMTK's order, which is not that of its help text here.
    """
    enabled = line.last_of("--disable-tls", _ENABLE) == _ENABLE
    password, prompt = "", True
    for choice in line.counting("--std-passwd", "--use-passwd", "--null-passwd"):
        line.require(choice, _ENABLE, when=enabled)
        password = line.value("--use-passwd") if choice == "--use-passwd" else ""
        prompt = choice == "--std-passwd"
    form: Literal["pem", "der"] = "pem"
    for choice in line.counting("--pem-keys", "--der-keys"):
        line.require(choice, _ENABLE, when=enabled)
        form = "pem" if choice == "--pem-keys" else "der"
    for choice in ("--dhparam", "--seed", "--write-seed", "--write-seed-file"):
        if line.given(choice):
            line.require(choice, _ENABLE, when=enabled)
            writes = choice.startswith("--write")
            line.require(choice, "--seed", when=not writes or line.given("--seed"))
    peers: PeerCheck = "required"
    for choice in line.counting(*_PEERS):
        line.require(choice, _ENABLE, when=enabled)
        peers = _PEERS[choice]
    profile: Profile = "bcp-195-nd"
    for choice in line.counting(*_PROFILES):
        # DCMTK's text calls this one by another name.
        shown = "--profile-basic" if choice == "--profile-aes" else choice
        line.require(shown, _ENABLE, when=enabled)
        profile = _PROFILES[choice]
    files = ("--add-cert-file", "--add-cert-dir", "--add-crl-file")
    for choice in (*files, "--enable-crl-vfy", "--enable-crl-all", "--cipher"):
        if line.given(choice):
            line.require(choice, _ENABLE, when=enabled)
    extended = profile == "bcp-195-ex"
    line.forbid("--cipher", "--profile-bcp195-ex", when=extended and line.given("--cipher"))
    if not enabled:
        return None
    key, certificate = line.values(_ENABLE)
    authorities = [
        name for long in ("--add-cert-file", "--add-cert-dir") for (name,) in line.every(long)
    ]
    lists = [name for (name,) in line.every("--add-crl-file")]
    chain = line.given("--enable-crl-all")
    leaf = bool(lists) or line.given("--enable-crl-vfy")
    return TlsSettings(
        certificate=certificate,
        key=key,
        key_password=password,
        key_password_file=_PROMPT if prompt else "",
        ca=authorities[0] if authorities else "",
        further_authorities=(*authorities[1:], *lists[1:]),
        crl=lists[0] if lists else "",
        crl_check="chain" if chain else "leaf" if leaf else "",
        client_certificate=peers,
        profile=profile,
        ciphers=tuple(name for (name,) in line.every("--cipher")),
        form=form,
    )


_PROMPT = "\0terminal"
"""Stands for a password that is asked for, once, when the key turns out to be encrypted."""


def checked(tls: TlsSettings, asked: list[str]) -> tuple[TlsSettings | None, list[tuple[str, str]]]:
    """TLS settings that can be used, and dcmrecv's lines about those that cannot.

    A certificate or list of a peer's authority that cannot be read is left out with a warning, as
    dcmrecv does; anything wrong with our own key and certificate gives None. ``asked`` keeps the
    password that was typed, for the next time.
    """
    lines: list[tuple[str, str]] = []

    def password() -> str:
        if tls.key_password_file != _PROMPT:
            return tls.key_password
        if asked:
            return asked[0]
        import getpass

        asked.append(getpass.getpass(f"Password for {tls.key}: "))
        return asked[0]

    problem = _key_problem(tls, password)
    if problem:
        return None, [("F", problem)]
    if any(name not in SUITES for name in tls.ciphers):
        return None, [("F", "0001:0007 Illegal call, perhaps wrong parameters")]
    ciphers = tuple(SUITES[name] for name in tls.ciphers)
    files = (tls.ca, *tls.further_authorities)
    usable = [name for name in files if _usable(name, tls.form, lines)]
    crl = tls.crl if _usable(tls.crl, tls.form, lines) else ""
    return (
        replace(
            tls,
            key_password=asked[0] if asked else tls.key_password,
            key_password_file="",
            ca=usable[0] if usable else "",
            further_authorities=tuple(usable[1:]),
            crl=crl,
            ciphers=ciphers,
        ),
        lines,
    )


def ciphers() -> str:
    """What ``--list-ciphers`` prints: the suites that this OpenSSL has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    known = []
    for name, theirs in SUITES.items():
        try:
            context.set_ciphers(f"{theirs}:@SECLEVEL=0")
        except ssl.SSLError:
            continue
        known.append(f"  {name}")
    return "\n".join(["", "Supported TLS ciphersuites are:", *known])


def _key_problem(tls: TlsSettings, password: Callable[[], str]) -> str:
    """DCMTK's text about a key and a certificate that cannot be used; "" when they can."""
    bad_key = f"000b:0004 Unable to load private TLS key from '{tls.key}'"
    mismatch = f"Private key '{tls.key}' and certificate '{tls.certificate}' do not match"
    bad_certificate = f"000b:0006 {mismatch}"
    key, certificate = _content(tls.key), _content(tls.certificate)
    if tls.form == "der":
        if not key.startswith(_DER):
            return bad_key
        return "" if certificate.startswith(_DER) else bad_certificate
    if b"PRIVATE KEY-----" not in key:
        return bad_key
    if b"CERTIFICATE-----" not in certificate:
        return bad_certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", None)
        return bad_certificate if reason == "KEY_VALUES_MISMATCH" else bad_key
    return ""


_DER = b"\x30"
"""A DER SEQUENCE, which keys and certificates are."""


def _content(name: str) -> bytes:
    try:
        with open(name, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _usable(name: str, form: str, lines: list[tuple[str, str]]) -> bool:
    """Whether there are authorities or revocation lists in a file; a folder is not looked into."""
    if not name or os.path.isdir(name):
        return bool(name)
    try:
        content = _content(name)
        if form == "der" and content.startswith(_DER):
            return True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_verify_locations(cadata=content.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError):
        if b"X509 CRL-----" in content:
            return True
        lines.append(("W", f"unable to load certificate file '{name}', ignoring"))
        return False
    return True
