"""ListenerSettings: addresses, AE titles, timeouts, limits, who may call."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le

from dicomd.settings.profile import AssociationProfile
from dicomd.settings.units import Bytes, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileReference:
    """An association profile in a file of its own, asconfig or YAML, told apart by content."""

    file: str
    name: str = "Default"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutSettings:
    """The clocks of one association, all monotonic. 0 switches one off. reliability: section 3."""

    tls_handshake: Seconds = 10.0
    acse: Seconds = 30.0
    """From TCP accept to a whole A-ASSOCIATE-RQ; not prolonged by bytes that trickle in."""
    artim: Seconds = 5.0
    """Waiting for the peer's close after A-ABORT, A-ASSOCIATE-RJ or A-RELEASE-RP."""
    pdu: Seconds = 30.0
    """From the first byte of a PDU to its last, P-DATA-TF apart, whose clock is ``dimse``."""
    dimse: Seconds = 60.0
    """Waiting for the next fragment of a message that has begun. Inside one PDU only 1 KiB or
    more starts it anew, which makes a minimum rate."""
    idle: Seconds = 300.0
    """Waiting for the next message."""
    send: Seconds = 30.0
    """An answer of which no byte can be sent."""
    association: Seconds = 0.0
    """A whole association, from its acceptance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """Bounds on what peers can make the service use. reliability: section 2."""

    associations: Annotated[int, Ge(1)] = 256
    """Over all workers of the listener."""
    associations_per_host: Annotated[int, Ge(1)] = 64
    connections: Annotated[int, Ge(1)] = 1024
    """TCP connections without an association, counted apart."""
    object_size: Bytes | Literal["unlimited"] = "unlimited"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessSettings:
    """Who may call. An empty list means any."""

    calling_ae_titles: tuple[str, ...] = ()
    called_ae_titles: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Networks in CIDR form, addresses, or host names (resolved when the settings are loaded)."""
    certificates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """With TLS: the common name of a client certificate -> the calling AE titles that it may use
    (empty: any). None named: every certificate that the authorities vouch for, as any caller."""
    hosts_access: bool = False
    """Also ask /etc/hosts.allow and /etc/hosts.deny, through the system's libwrap."""
    hosts_access_name: str = "dicomd"
    """The daemon name in those files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """TLS of a listener or towards a remote. Files are PEM and read anew with each reload."""

    certificate: str = ""
    key: str = ""
    key_password_file: str = ""
    ca: str = ""
    """A file or folder of the authorities that peers' certificates are checked against."""
    further_authorities: tuple[str, ...] = ()
    """More files and folders of authorities, or of revocation lists."""
    crl: str = ""
    """A file of certificate revocation lists."""
    crl_check: Literal["", "leaf", "chain"] = ""
    """What is looked up in the lists; empty: the leaf when ``crl`` is given."""
    client_certificate: Literal["required", "optional", "none"] = "required"
    profile: Literal["bcp-195", "bcp-195-nd", "bcp-195-ex", "aes", "null"] = "bcp-195-nd"
    ciphers: tuple[str, ...] = ()
    """OpenSSL cipher names added to the profile's."""
    key_password: str = field(default="", repr=False)
    """From a command line only; files use ``key_password_file``."""
    form: Literal["pem", "der"] = "pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerSettings:
    """One listener: an address, an AE title, a profile, a store."""

    address: str = ""
    """``0.0.0.0``, ``127.0.0.1``, ``::`` (both families), a host name; empty: all addresses, IPv4
    and IPv6."""
    port: Annotated[int, Ge(0), Le(65535)] = 11112
    """TCP port; 0 lets the kernel choose (the log says which)."""
    socket: str = ""
    """Name of a socket that systemd hands over (FileDescriptorName=), instead of a port."""
    ae_title: str = "DICOMD"
    respond_with_called_ae_title: bool = True
    """Answer with the AE title that was called; otherwise with ``ae_title``. The called and
    calling titles of the A-ASSOCIATE-AC are always those of the request (PS3.8 9.3.3)."""
    profile: ProfileReference | None = None
    """None: every storage class and Verification."""
    negotiation: AssociationProfile | None = None
    """The profile, read and resolved by ``config``; never a key of the file."""
    store: str = ""
    """Name of a store; may be omitted when there is just one."""
    workers: Annotated[int, Ge(1), Le(256)] | Literal["auto"] = "auto"
    """Processes; auto = the processors this process may use."""
    checks: Literal["strict", "tolerant"] = "strict"
    max_pdu: Annotated[int, Ge(4096), Le(1 << 20)] = 131072
    """Maximum length announced to peers, bytes (PS3.8 D.1)."""
    quick_ack: bool = True
    """Re-arm TCP_QUICKACK after each read: worth a factor to senders with Nagle's algorithm on;
    costs ACK packets."""
    host_names: bool = False
    """Look up the peer's name for the log, as dcmrecv does without -dhl; off the accept path."""
    timeouts: TimeoutSettings = TimeoutSettings()
    limits: LimitSettings = LimitSettings()
    access: AccessSettings = AccessSettings()
    tls: TlsSettings | None = None
    implementation: Literal["dicomd", "dcmrecv", "movescu"] = "dicomd"
    """Whose implementation class UID and version name the A-ASSOCIATE-AC and the files carry:
    ``dcmrecv`` and ``movescu`` give those of DCMTK 3.6.7, for a drop-in."""
    accept_empty: bool = False
    """Accept an association even when none of its contexts is acceptable, as movescu does; set by
    ``move``, never a key."""
