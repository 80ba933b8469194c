"""Fuzzers of ``upper_layer``: whole associations and the A-ASSOCIATE-RQ."""

from pathlib import Path
from random import Random

from dicomd.errors import RemoteProtocolError
from dicomd.upper_layer.associate import ContextResult, decode_request, encode_accept
from dicomd.upper_layer.association import Association
from dicomd.upper_layer.events import AssociationRequested, DatasetReceived, ReleaseRequested
from dicomd.upper_layer.framing import ASSOCIATE_RQ_LIMIT_BYTES
from dicomd.upper_layer.states import State
from tests.fuzz.target import Target
from tests.upper_layer.wire import (
    ABORT,
    APPLICATION,
    CT,
    ECHO,
    RELEASE_RQ,
    STORE,
    associate_rq,
    context,
    item,
    p_data,
    pdv,
    user,
)

CAPTURED = Path(__file__).parent.parent / "upper_layer" / "captured"

MESSAGES = (
    p_data(pdv(3, 3, ECHO))
    + p_data(pdv(1, 3, STORE))
    + p_data(pdv(1, 0, bytes(300)), pdv(1, 2, b"LAST"))
    + p_data(pdv(1, 1, STORE[:20]), pdv(1, 3, STORE[20:]), pdv(1, 2, b"ALL"[:2]))
)
FULL = associate_rq(
    APPLICATION,
    context(1),
    context(3),
    user(
        item(0x53, b"\0\1\0\1"),
        item(0x54, b"\0\x031.2\1\1"),
        item(0x56, b"\0\x031.2abc"),
        item(0x57, b"\0\x031.2\0\x031.3\0\0"),
        item(0x58, b"\2\0\0\1a\0\1b"),
    ),
)
REQUESTS = tuple(path.read_bytes() for path in sorted(CAPTURED.glob("*.bin")))


def run_association(data: bytes, random: Random) -> None:
    """What comes of any bytes, cut anyhow, is events and at most one abort; little is kept."""
    association = Association(max_pdu=16384, strict=random.random() < 0.5)
    at = 0
    while at < len(data):
        size = random.choice((1, 2, 5, 6, 11, 12, 13, 100, 1000, len(data)))
        buffer = bytearray(data[at : at + size])
        at += size
        with memoryview(buffer) as view:
            lent = 0
            for event in association.receive(view):
                if isinstance(event, DatasetReceived):
                    lent += sum(len(span) for span in event.spans)
                    for span in event.spans:
                        span.release()
                elif isinstance(event, AssociationRequested):
                    answer(association, event, random)
                elif isinstance(event, ReleaseRequested):
                    association.release()
            assert lent <= len(buffer)
        buffer.clear()  # fails while a view of it is kept
        assert association.held_bytes <= ASSOCIATE_RQ_LIMIT_BYTES + 6
        assert association.held_bytes <= at
        association.take_outgoing()
        if association.fault is not None:
            assert association.closing
            assert association.state is State.AWAITING_CLOSE


def answer(association: Association, event: AssociationRequested, random: Random) -> None:
    request = event.request
    if random.random() < 0.1:
        association.reject(1, 1, 1)
        return
    results = [ContextResult(each.context_id, 0, "1.2") for each in request.contexts]
    encoded = encode_accept(
        request,
        results,
        max_pdu=16384,
        implementation_class_uid="1.2",
        implementation_version_name="",
        roles={},
        extended={},
    )
    peer_max_pdu = request.max_pdu if request.max_pdu >= 8 else 0
    association.accept(encoded, {each.context_id: CT for each in request.contexts}, peer_max_pdu)


def run_request(data: bytes, random: Random) -> None:
    """A request is decoded or refused with the abort for it."""
    try:
        request = decode_request(data, strict=random.random() < 0.5)
    except RemoteProtocolError as error:
        assert (error.source, error.reason) == (2, 6)  # noqa: PT017  # either is right
        return
    ids = [each.context_id for each in request.contexts]
    assert len(ids) == len(set(ids)) <= 128
    for text in (request.called_ae_title, request.calling_ae_title, request.application_context):
        assert text.isascii()
        assert text == "" or text.isprintable()


TARGETS = (
    Target(
        "association",
        tuple(
            request + MESSAGES + end
            for request in (FULL, associate_rq(), REQUESTS[0])
            for end in (RELEASE_RQ, ABORT)
        ),
        run_association,
    ),
    Target("associate", (FULL, *REQUESTS), run_request),
)
