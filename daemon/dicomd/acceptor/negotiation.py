"""Profile x request -> accept or reject, as DCMTK would (PS3.8 9.3.2 to 9.3.4, PS3.7 D.3.3).

Plain: takes values, returns values. The acceptor's order of transfer syntaxes decides, not the
requestor's. Role and extended negotiation answers are those measured on DCMTK 3.6.7: both are
given from the profile alone. Answers are memoised on the request's bytes: a ``Negotiator`` is made
for one profile and one listener and knows nothing else that could change them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dicomd.settings.profile import AssociationProfile, Role
from dicomd.upper_layer.associate import ContextResult, encode_accept
from dicomd.upper_layer.events import AssociateRequest

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1

ACCEPTED = 0  # PS3.8 9.3.3.2, results of a presentation context
NO_REASON = 2
ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
TRANSFER_SYNTAXES_NOT_SUPPORTED = 4

_SMALLEST_PEER_MAXIMUM = 8
"""A PDV header takes 6 bytes of a P-DATA-TF; below 8 no fragment of even length fits."""
_MEMO_ENTRIES = 256
_MEMO_KEY_BYTES = 32768

_ROLE_ANSWERS: Mapping[Role, Mapping[tuple[bool, bool], tuple[bool, bool]]] = {
    Role.SCU: {
        (True, False): (True, False),
        (False, True): (False, False),
        (True, True): (True, False),
        (False, False): (True, False),
    },
    Role.SCP: {
        (True, False): (False, False),
        (False, True): (False, True),
        (True, True): (False, True),
        (False, False): (False, True),
    },
    Role.BOTH: {
        (True, False): (True, False),
        (False, True): (False, True),
        (True, True): (True, True),
        (False, False): (True, True),
    },
}
"""Configured role -> proposed (SCU, SCP) -> answered (SCU, SCP). Without a configured role no
answer is given; SCP without a proposal refuses the context."""

_ROLE_FITS: Mapping[Role, frozenset[tuple[bool, bool]]] = {
    Role.SCU: frozenset({(True, False), (True, True)}),
    Role.SCP: frozenset({(False, True), (True, True)}),
    Role.BOTH: frozenset({(True, False), (False, True), (True, True)}),
}
"""Proposals that need no warning."""


_ROLE_PAIRS = {Role.SCU: (True, False), Role.SCP: (False, True), Role.BOTH: (True, True)}


@dataclass(frozen=True, slots=True)
class Notice:
    """Something an operator should know about a negotiation: a role that did not fit."""

    level: Literal["warning", "error"]
    sop_class: str
    configured: str
    proposed: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An association can be accepted: the whole A-ASSOCIATE-AC, and what it says."""

    answer: bytes
    transfer_syntaxes: Mapping[int, str]
    """Accepted context id -> transfer syntax."""
    abstract_syntaxes: Mapping[int, str]
    """Accepted context id -> abstract syntax."""
    peer_max_pdu: int
    results: tuple[ContextResult, ...]
    roles: Mapping[str, tuple[bool, bool]]
    """SOP class -> (SCU, SCP) that the profile has for it, of those accepted."""
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4), with its reason in words for the log."""

    result: int
    source: int
    reason: int
    cause: str
    notices: tuple[Notice, ...] = ()


class Negotiator:
    """Answers association requests from one profile. Mutable: its memo."""

    def __init__(
        self,
        profile: AssociationProfile,
        *,
        max_pdu: int,
        implementation_class_uid: str,
        implementation_version_name: str,
        tolerant: bool,
        accept_empty: bool = False,
    ) -> None:
        self._offers = {
            context.abstract_syntax: context.transfer_syntaxes for context in profile.contexts
        }
        self._profile = profile
        self._max_pdu = max_pdu
        self._implementation_class_uid = implementation_class_uid
        self._implementation_version_name = implementation_version_name
        self._tolerant = tolerant
        self._accept_empty = accept_empty
        self._memo: dict[bytes, Acceptance] = {}

    @property
    def own_parameters(self) -> dict[str, str | int]:
        """What we announce ourselves, for the log's dumps of a negotiation."""
        return {
            "our_max_pdu": self._max_pdu,
            "our_implementation_class": self._implementation_class_uid,
            "our_implementation_version": self._implementation_version_name,
        }

    def negotiate(self, request: AssociateRequest, encoded: bytes) -> Acceptance | Refusal:
        """The answer to a request whose whole PDU is ``encoded``."""
        known = self._memo.get(encoded)
        if known is not None:
            return known
        answer = self.refuse(request) or self._answer(request)
        if (
            isinstance(answer, Acceptance)
            and request.user_identity_type is None
            and len(encoded) <= _MEMO_KEY_BYTES
        ):
            if len(self._memo) >= _MEMO_ENTRIES:
                self._memo.clear()
            self._memo[encoded] = answer
        return answer

    def refuse(self, request: AssociateRequest) -> Refusal | None:
        """What is wrong with the request as a whole, whoever sends it."""
        if not request.protocol_version & 1:
            cause = f"protocol version {request.protocol_version:04X}H not supported"
            return Refusal(1, 2, 2, cause)
        if request.application_context != APPLICATION_CONTEXT:
            # DCMTK 3.6.7 calls this transient; permanent is right, since asking again is no help.
            return Refusal(
                2 if self._tolerant else 1, 1, 2, "application context name not supported"
            )
        if 0 < request.max_pdu < _SMALLEST_PEER_MAXIMUM:
            return Refusal(1, 1, 1, "the peer's maximum length leaves no room for a fragment")
        return None

    def _answer(self, request: AssociateRequest) -> Acceptance | Refusal:
        results: list[ContextResult] = []
        notices: list[Notice] = []
        transfer_syntaxes: dict[int, str] = {}
        abstract_syntaxes: dict[int, str] = {}
        roles: dict[str, tuple[bool, bool]] = {}
        extended: dict[str, bytes] = {}
        for context in request.contexts:
            abstract_syntax = context.abstract_syntax
            offers = self._offers.get(abstract_syntax)
            result, transfer_syntax = ABSTRACT_SYNTAX_NOT_SUPPORTED, ""
            if offers is not None:
                result = TRANSFER_SYNTAXES_NOT_SUPPORTED
                for offer in offers:
                    if offer in context.transfer_syntaxes:
                        result, transfer_syntax = ACCEPTED, offer
                        break
            if result == ACCEPTED:
                role, granted = self._role(abstract_syntax, request, notices)
                if not granted:
                    result = NO_REASON
                else:
                    transfer_syntaxes[context.context_id] = transfer_syntax
                    abstract_syntaxes[context.context_id] = abstract_syntax
                    if role is not None:
                        roles[abstract_syntax] = role
                    if abstract_syntax in self._profile.extended_negotiation:
                        extended[abstract_syntax] = self._profile.extended_negotiation[
                            abstract_syntax
                        ]
            results.append(ContextResult(context.context_id, result, transfer_syntax))
        distinct = tuple(dict.fromkeys(notices))
        if not transfer_syntaxes and not self._accept_empty:
            return Refusal(1, 1, 1, "no acceptable presentation contexts", distinct)
        return Acceptance(
            answer=encode_accept(
                request,
                results,
                max_pdu=self._max_pdu,
                implementation_class_uid=self._implementation_class_uid,
                implementation_version_name=self._implementation_version_name,
                roles=roles,
                extended=extended,
            ),
            transfer_syntaxes=transfer_syntaxes,
            abstract_syntaxes=abstract_syntaxes,
            peer_max_pdu=request.max_pdu,
            results=tuple(results),
            roles={
                uid: _ROLE_PAIRS[role]
                for uid, role in self._profile.roles.items()
                if uid in abstract_syntaxes.values()
            },
            notices=distinct,
        )

    def _role(
        self, abstract_syntax: str, request: AssociateRequest, notices: list[Notice]
    ) -> tuple[tuple[bool, bool] | None, bool]:
        """The answered role, None for no item; and whether the context stays accepted."""
        configured = self._profile.roles.get(abstract_syntax)
        if configured is None:
            return None, True
        proposed = request.roles.get(abstract_syntax)
        if proposed is None:
            if configured is Role.SCP:
                notices.append(Notice("error", abstract_syntax, configured.value, "default"))
                return None, False
            return None, True
        if proposed not in _ROLE_FITS[configured]:
            words = {(True, False): "SCU", (False, True): "SCP", (True, True): "BOTH"}
            notices.append(
                Notice("warning", abstract_syntax, configured.value, words.get(proposed, "none"))
            )
        return _ROLE_ANSWERS[configured][proposed], True
