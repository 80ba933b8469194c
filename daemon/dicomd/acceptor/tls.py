"""TlsSettings -> an SSL context for a listener (PS3.15 B, BCP 195).

The profiles are DCMTK's, as its tools name them; TLS 1.2 is the least everywhere. Files may be
PEM or DER. DER keys pass through a file in memory, since OpenSSL's loader here reads PEM only.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dicomd.errors import StartError
from dicomd.settings.listener import TlsSettings

_BCP_195 = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
)
_EXTENDED = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES128-GCM-SHA256",
)
_OLDER = (
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "DHE-RSA-AES128-SHA256",
    "DHE-RSA-AES256-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "DHE-RSA-AES128-SHA",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
    "AES128-SHA256",
    "AES256-SHA256",
    "AES128-SHA",
    "AES256-SHA",
)
CIPHERS: dict[str, tuple[str, ...]] = {
    "bcp-195": (*_BCP_195, *_OLDER),
    "bcp-195-nd": (*_BCP_195, *_OLDER),
    "bcp-195-ex": _EXTENDED,
    "aes": ("AES128-SHA", "AES256-SHA", "DHE-RSA-AES128-SHA", "DHE-RSA-AES256-SHA"),
    "null": ("NULL-SHA", "@SECLEVEL=0"),
}
"""OpenSSL's names by profile, the most wanted first (TLS 1.2; those of 1.3 are OpenSSL's)."""

_WITHOUT_TLS_1_3 = ("aes", "null")
_VERIFY = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}
_KEY_LABELS = ("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY")


def build_ssl_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context of a listener. StartError names the file or key that is at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.profile in _WITHOUT_TLS_1_3:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.set_ciphers(":".join((*CIPHERS[settings.profile], *settings.ciphers)))
    except ssl.SSLError as error:
        raise StartError(f"tls: ciphers: OpenSSL knows none of {settings.ciphers}") from error
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    context.options |= ssl.OP_NO_COMPRESSION
    _load_own(context, settings)
    _load_authorities(context, settings)
    context.verify_mode = _VERIFY[settings.client_certificate]
    return context


def _load_own(context: ssl.SSLContext, settings: TlsSettings) -> None:
    if not settings.certificate:
        raise StartError("tls: certificate: a listener needs one")
    password = settings.key_password
    if settings.key_password_file:
        try:
            password = Path(settings.key_password_file).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(
                f"tls: key_password_file: {settings.key_password_file}: {_words(error)}"
            ) from error
    key = settings.key or settings.certificate
    where = f"tls: {settings.certificate} and {key}"
    # Given as a string even when empty, so that OpenSSL never asks on the terminal.
    if settings.form == "pem":
        try:
            context.load_cert_chain(settings.certificate, key, password=lambda: password)
        except (OSError, ValueError) as error:
            raise StartError(f"{where}: {_words(error)}") from error
        return
    try:
        certificate = ssl.DER_cert_to_PEM_cert(Path(settings.certificate).read_bytes()).encode()
        encoded = ssl.DER_cert_to_PEM_cert(Path(key).read_bytes())
    except OSError as error:
        raise StartError(f"{where}: {_words(error)}") from error
    last: Exception | None = None
    for label in _KEY_LABELS:
        pem = encoded.replace("CERTIFICATE", label).encode()
        with _in_memory(certificate) as first, _in_memory(pem) as second:
            try:
                context.load_cert_chain(first, second, password=lambda: password)
            except (OSError, ValueError) as error:
                last = error
                continue
            return
    raise StartError(f"{where}: not DER, or they don't belong together") from last


def _load_authorities(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """With none named nobody's certificate is good: who requires one refuses every caller."""
    for name in filter(None, (settings.ca, *settings.further_authorities)):
        try:
            for path in _authority_files(name):
                _load_authority(context, path, settings.form)
        except (OSError, ValueError) as error:
            raise StartError(f"tls: ca: {name}: {_words(error)}") from error
    if settings.crl:
        try:
            context.load_verify_locations(cafile=settings.crl)
        except (OSError, ValueError) as error:
            raise StartError(f"tls: crl: {settings.crl}: {_words(error)}") from error
    if settings.crl_check == "chain":
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    elif settings.crl or settings.crl_check:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _load_authority(context: ssl.SSLContext, path: Path, form: str) -> None:
    if form == "der":
        context.load_verify_locations(cadata=path.read_bytes())
    else:
        context.load_verify_locations(cafile=path)


def _authority_files(name: str) -> Iterator[Path]:
    path = Path(name)
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir()):
        # Hashed names, as c_rehash makes them, are links to the files that are read anyway.
        if entry.is_file() and not entry.is_symlink() and not entry.name.startswith("."):
            yield entry


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    fd = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(fd, data)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def _words(error: Exception) -> str:
    """What OpenSSL or the system says, without its file and line."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "not what OpenSSL can read").replace("_", " ").lower()
    return getattr(error, "strerror", None) or type(error).__name__
