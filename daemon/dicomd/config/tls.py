"""Whether TLS settings can work: every file is there, is what it says, and fits the others."""

import os
import ssl

from dicomd.config.build import Tree
from dicomd.config.yaml_source import Path
from dicomd.errors import Fault
from dicomd.settings.listener import TlsSettings


def check_tls(tls: TlsSettings, path: Path, tree: Tree, *, server: bool) -> list[Fault]:
    """The faults of a listener's (``server``) or a remote's TLS settings."""
    faults: list[Fault] = []
    if server and not tls.certificate:
        faults.append(tree.fault(path, "a TLS listener needs `certificate` and `key`", key=True))
    if server and tls.client_certificate != "none" and not tls.ca:
        text = "checking peers' certificates needs `ca`; or set `client_certificate: none`"
        faults.append(tree.fault(path, text, key=True))
    for key in ("certificate", "key", "key_password_file", "ca", "crl"):
        name = str(getattr(tls, key))
        if name and not os.access(name, os.R_OK):
            reason = "cannot be read" if os.path.exists(name) else "does not exist"
            faults.append(tree.fault((*path, key), f"{name} {reason}"))
    if faults:
        return faults
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if tls.certificate and tls.form == "pem":
        try:
            context.load_cert_chain(tls.certificate, tls.key or None, lambda: password_of(tls))
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or "unreadable"
            text = f"certificate and key cannot be used together: {_words(str(reason))}"
            faults.append(tree.fault((*path, "certificate"), text))
    if tls.ca and tls.form == "pem" and os.path.isfile(tls.ca):
        faults += _check_authority(context, tls.ca, (*path, "ca"), tree)
    if tls.crl and tls.form == "pem" and os.path.isfile(tls.crl):
        faults += _check_authority(context, tls.crl, (*path, "crl"), tree)
    for position, cipher in enumerate(tls.ciphers):
        try:
            context.set_ciphers(cipher)
        except ssl.SSLError:
            text = f"OpenSSL knows no cipher {cipher!r}"
            faults.append(tree.fault((*path, "ciphers", position), text))
    return faults


def password_of(tls: TlsSettings) -> str:
    """The key's password, from its file (without the line's end) or the command line."""
    if not tls.key_password_file:
        return tls.key_password
    with open(tls.key_password_file, encoding="utf-8") as file:
        return file.read().rstrip("\r\n")


def _check_authority(context: ssl.SSLContext, file: str, path: Path, tree: Tree) -> list[Fault]:
    try:
        context.load_verify_locations(file)
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or "unreadable"
        return [tree.fault(path, f"{file} holds no PEM certificates: {_words(str(reason))}")]
    return []


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower()
