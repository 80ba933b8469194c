"""What happened on the wire, frozen. The union ``Event`` is what ``Association.receive`` yields."""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed (PS3.8 9.3.2.2)."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ, decoded (PS3.8 9.3.2, PS3.7 D.3.3).

    AE titles are as sent, without leading and trailing spaces and trailing NULs; backslashes and
    bytes outside printable ASCII stand as backslash escapes, so that a title which holds a
    backslash is one to refuse. The same escapes stand in UIDs and the version name. ``roles`` maps
    an abstract syntax to the proposed (SCU, SCP).
    """

    protocol_version: int
    application_context: str
    called_ae_title: str
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    max_pdu: int
    """The peer's maximum length; 0 = no limit."""
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    roles: dict[str, tuple[bool, bool]] = field(default_factory=dict)
    extended_negotiation: dict[str, bytes] = field(default_factory=dict)
    user_identity_type: int | None = None
    echoed: bytes = field(default=b"", repr=False)
    """Both AE title fields and the reserved one behind them, 64 bytes as sent: the A-ASSOCIATE-AC
    repeats them (PS3.8 9.3.3). Empty in a request that did not come from the wire."""


@dataclass(frozen=True, slots=True)
class AssociationRequested:
    """A-ASSOCIATE-RQ. ``encoded`` is the whole PDU, for those who memoise the answer."""

    request: AssociateRequest
    encoded: bytes


class CommandReceived(NamedTuple):
    """A whole command set, from one or many fragments. A tuple: made for each message."""

    context_id: int
    command: bytes


@dataclass(slots=True)
class DatasetReceived:
    """Data set fragments of one read, in order. The spans are lent: good until the next
    ``receive``. ``last`` is set on the event that ends the data set; it may have no spans."""

    context_id: int
    spans: list[memoryview]
    last: bool


@dataclass(frozen=True, slots=True)
class ReleaseRequested:
    """A-RELEASE-RQ."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """A-ABORT from the peer, with its source and reason as sent."""

    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The transport connection ended."""


Event = (
    AssociationRequested
    | CommandReceived
    | DatasetReceived
    | ReleaseRequested
    | Aborted
    | PeerClosed
)
