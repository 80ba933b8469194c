"""RemoteSettings: a peer that we call, and its limits."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from dicomd.settings.listener import TlsSettings
from dicomd.settings.units import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """An archive. ``max_retrievals`` bounds the C-MOVEs under way to it at once."""

    host: str
    port: Annotated[int, Ge(1), Le(65535)] = 104
    ae_title: str
    calling_ae_title: str = "DICOMD"
    max_retrievals: Annotated[int, Ge(1)] = 1
    max_pdu: Annotated[int, Ge(4096), Le(1 << 20)] = 131072
    connect_timeout: Seconds = 10.0
    acse_timeout: Seconds = 30.0
    dimse_timeout: Seconds = 60.0
    """Without any response and without any arriving object."""
    pause: Seconds = 0.0
    """Between two retrievals from this remote."""
    tls: TlsSettings | None = None
