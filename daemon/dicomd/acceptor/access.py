"""Who may call: AE titles, hosts, certificates. Plain: compares values, looks nothing up.

Titles compare exactly, with regard to case, after leading and trailing spaces are gone (PS3.5
6.2, VR AE); no prefix matches. Host names were resolved by whoever makes an ``Access``: nothing is
looked up while a peer waits, since a reverse answer belongs to whoever owns the address.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from dicomd.acceptor.negotiation import Refusal
from dicomd.settings.listener import AccessSettings

CALLING_AE_TITLE_UNKNOWN = (1, 1, 3)  # PS3.8 9.3.4: permanent, service user
CALLED_AE_TITLE_UNKNOWN = (1, 1, 7)


def plain_address(host: str) -> IPv4Address | IPv6Address:
    """A peer's address; one that came by IPv4 over an IPv6 socket is an IPv4 address."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_network(text: str) -> bool:
    """Whether a host rule is an address or a network in CIDR form, so no name to resolve."""
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


class Access:
    """The rules of one listener. ``resolved`` are the addresses of the host names in ``hosts``."""

    def __init__(
        self, settings: AccessSettings, *, strict: bool, resolved: Iterable[str] = ()
    ) -> None:
        self._calling = frozenset(title.strip(" ") for title in settings.calling_ae_titles)
        self._called = frozenset(title.strip(" ") for title in settings.called_ae_titles)
        self._certificates = settings.certificates
        self._strict = strict
        self._networks: tuple[IPv4Network | IPv6Network, ...] = tuple(
            ip_network(text, strict=False)
            for text in (*filter(is_network, settings.hosts), *resolved)
        )
        self._any_host = not settings.hosts

    def refuse(
        self, *, calling_ae_title: str, called_ae_title: str, host: str, certificate: str | None
    ) -> Refusal | None:
        """None for those who may call. ``certificate`` is the subject's common name, None
        without a verified client certificate."""
        if self._strict and not _is_proper(called_ae_title):
            return Refusal(*CALLED_AE_TITLE_UNKNOWN, "called AE title holds characters not allowed")
        if self._called and called_ae_title not in self._called:
            return Refusal(*CALLED_AE_TITLE_UNKNOWN, "called AE title not recognized")
        if self._strict and not _is_proper(calling_ae_title):
            return Refusal(
                *CALLING_AE_TITLE_UNKNOWN, "calling AE title holds characters not allowed"
            )
        if self._calling and calling_ae_title not in self._calling:
            return Refusal(*CALLING_AE_TITLE_UNKNOWN, "calling AE title not recognized")
        if not self.admits_host(host):
            return Refusal(*CALLING_AE_TITLE_UNKNOWN, "host not allowed")
        if self._certificates:
            titles = None if certificate is None else self._certificates.get(certificate)
            if titles is None:
                return Refusal(*CALLING_AE_TITLE_UNKNOWN, "certificate not allowed")
            if titles and calling_ae_title not in titles:
                return Refusal(*CALLING_AE_TITLE_UNKNOWN, "certificate is of another AE title")
        return None

    def admits_host(self, host: str) -> bool:
        """Whether an address is in one of the networks."""
        if self._any_host:
            return True
        address = plain_address(host)
        return any(address in network for network in self._networks)


def _is_proper(title: str) -> bool:
    """Printable ASCII without the backslash (PS3.5 6.2; the decoder escapes all else with one)."""
    return title.isascii() and title.isprintable() and "\\" not in title
