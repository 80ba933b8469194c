"""TLS towards a remote: a client's context from its settings (BCP 195: TLS 1.2 or newer)."""

import os
import ssl

from dicomd.errors import MoveError
from dicomd.settings.listener import TlsSettings


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """The context for calls to a remote. The peer's certificate is checked against ``ca``; its host
    name is not, since AE titles, not names, identify peers in DICOM. MoveError when a file is
    missing or does not fit."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        authorities = [settings.ca, *settings.further_authorities, settings.crl]
        for path in filter(None, authorities):
            if os.path.isdir(path):
                context.load_verify_locations(capath=path)
            else:
                context.load_verify_locations(path)
        if not settings.ca:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if settings.crl or settings.crl_check:
            chain = settings.crl_check == "chain"
            context.verify_flags |= (
                ssl.VERIFY_CRL_CHECK_CHAIN if chain else ssl.VERIFY_CRL_CHECK_LEAF
            )
        if settings.certificate:
            password = settings.key_password or None
            if settings.key_password_file:
                with open(settings.key_password_file, encoding="utf-8") as file:
                    password = file.read().strip()
            context.load_cert_chain(settings.certificate, settings.key or None, password)
        if settings.ciphers:
            context.set_ciphers(":".join(settings.ciphers))
    except (OSError, ssl.SSLError) as exc:
        raise MoveError(f"TLS settings: {exc.strerror or exc}", retryable=False) from exc
    return context
