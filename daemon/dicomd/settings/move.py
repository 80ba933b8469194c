"""MoveSettings: one retrieval as movescu's command line describes it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveSettings:
    """A C-MOVE association run once by ``dicomd move``. Defaults are movescu's (DCMTK 3.6.7)."""

    host: str
    port: int
    calling_ae_title: str = "MOVESCU"
    called_ae_title: str = "ANY-SCP"
    destination_ae_title: str = "MOVESCU"
    """Move Destination (0000,0600); movescu's default is its calling AE title."""
    model: Literal["patient", "study", "patient-study-only"] = "patient"
    keys: tuple[str, ...] = ()
    """Matching keys as written after ``-k``; the leftmost of two for one element wins."""
    query_files: tuple[str, ...] = ()
    """DICOM files whose data sets are the identifiers; each is sent ``repeat`` times."""
    dictionaries: tuple[str, ...] = ()
    """Data dictionaries in DCMTK's form, from DCMDICTPATH; empty: the built-in one."""
    transfer_syntaxes: tuple[str, ...] = (
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2",
    )
    """Proposed for both presentation contexts, in this order."""
    max_pdu: int = 16384
    """Maximum length announced to the peer, bytes (PS3.8 D.1)."""
    connect_timeout: float = 0.0
    """Seconds for the TCP connection; 0: no limit but the system's."""
    acse_timeout: float = 30.0
    dimse_timeout: float = 0.0
    """Seconds without any response and without any arriving object; 0: no limit."""
    repeat: int = 1
    cancel_after: int = 0
    """Send a C-CANCEL when the pending response of this number arrives; 0: never."""
    abort: bool = False
    """End with an A-ABORT instead of an A-RELEASE."""
    pending_dataset: Literal["ignore", "read"] = "ignore"
    """A pending response that (illegally) announces a data set: assume none, or read and drop."""
    progress: Literal["none", "dots", "bar"] = "none"
    """On standard output: movescu's dots, or a bar on a terminal."""
