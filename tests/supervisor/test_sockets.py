"""Listening sockets: opened, kept and closed as settings change."""

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from dicomd.errors import BindError, StartError
from dicomd.settings.listener import ListenerSettings
from dicomd.supervisor import sockets as module
from dicomd.supervisor.sockets import (
    STORED_PREFIX,
    ListeningSockets,
    Place,
    address_of,
    bind,
    place_of,
)


@pytest.fixture
def sockets() -> Iterator[ListeningSockets]:
    with closing(ListeningSockets({})) as table:
        yield table


def any_port(owner: str) -> Place:
    return place_of(owner, ListenerSettings(address="127.0.0.1", port=0))


def connects(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), 5).close()
    except OSError:
        return False
    return True


def test_a_place_stays_open_as_long_as_somebody_asks_for_it(sockets: ListeningSockets) -> None:
    first = sockets.prepare({"one": any_port("one"), "two": any_port("two")})
    opened, closed = sockets.commit(first)
    assert len(opened) == 2
    assert not closed
    (kept,) = sockets.held(any_port("one"))
    second = sockets.prepare({"one": any_port("one"), "three": any_port("three")})
    assert sockets.sockets_of(second, "one") == (kept,)
    opened, closed = sockets.commit(second)
    assert opened == [any_port("three")]
    assert closed == [any_port("two")]
    assert sockets.held(any_port("one")) == (kept,)
    assert connects(address_of(kept))


def test_a_place_that_nobody_serves_refuses_callers(
    sockets: ListeningSockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAVE_AFTER_S", 0.0)
    sockets.commit(sockets.prepare({"one": any_port("one")}))
    (sock,) = sockets.held(any_port("one"))
    address = address_of(sock)
    with sock.dup():  # a worker of an old generation holds it still
        sockets.commit(sockets.prepare({}))
        sockets.turn()
        assert not connects(address)


def test_failure_closes_what_was_opened_and_keeps_the_rest(sockets: ListeningSockets) -> None:
    sockets.commit(sockets.prepare({"one": any_port("one")}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = Place(address="127.0.0.1", port=taken.getsockname()[1])
        count = len(sockets.everything())
        with pytest.raises(BindError, match="already in use") as caught:
            sockets.prepare({"one": any_port("one"), "two": any_port("two"), "three": place})
    assert caught.value.place == str(place)
    assert len(sockets.everything()) == count
    assert connects(address_of(sockets.held(any_port("one"))[0]))


def test_two_listeners_at_one_place_are_refused(sockets: ListeningSockets) -> None:
    place = Place(address="127.0.0.1", port=11112)
    with pytest.raises(StartError, match=r"two and one both ask for 127\.0\.0\.1 port 11112"):
        sockets.prepare({"one": place, "two": place})


@pytest.mark.parametrize(
    ("before", "after"),
    [("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1"), ("127.0.0.1", ""), ("", "127.0.0.1")],
)
def test_a_listener_can_move_to_an_address_that_overlaps(
    sockets: ListeningSockets, before: str, after: str
) -> None:
    (probe,) = bind("127.0.0.1", 0)
    port = probe.getsockname()[1]
    probe.close()
    sockets.commit(sockets.prepare({"one": Place(address=before, port=port)}))
    moved = sockets.prepare({"one": Place(address=after, port=port)})
    with pytest.raises(OSError, match="in use"):
        bind(after, port)
    with pytest.raises(OSError, match="in use"):
        bind(before, port)
    sockets.commit(moved)
    assert connects(f"127.0.0.1:{port}")
    assert connects(f"127.0.0.2:{port}") == (after != "127.0.0.1")


def test_two_listeners_that_overlap_are_refused(sockets: ListeningSockets) -> None:
    (probe,) = bind("127.0.0.1", 0)
    port = probe.getsockname()[1]
    probe.close()
    sockets.commit(sockets.prepare({"one": Place(address="127.0.0.1", port=port)}))
    with pytest.raises(BindError, match="in use"):
        sockets.prepare(
            {
                "one": Place(address="127.0.0.1", port=port),
                "two": Place(address="0.0.0.0", port=port),
            }
        )


def test_new_sockets_count_as_open_before_they_are_committed(sockets: ListeningSockets) -> None:
    """What a child must close includes those of a reload under way."""
    prospect = sockets.prepare({"one": any_port("one")})
    assert len(sockets.everything()) == 1
    sockets.abandon(prospect)
    assert not sockets.everything()


@pytest.mark.parametrize("address", ["", "::"])
def test_all_addresses_are_ipv4_and_ipv6(address: str) -> None:
    (sock,) = bind(address, 0)
    with sock:
        port = sock.getsockname()[1]
        assert connects(f"127.0.0.1:{port}")
        if sock.family == socket.AF_INET6:
            assert connects(f"[::1]:{port}")


def test_one_address_is_that_address_alone() -> None:
    (sock,) = bind("127.0.0.1", 0)
    with sock:
        port = sock.getsockname()[1]
        assert sock.getsockname()[0] == "127.0.0.1"
        assert not connects(f"127.0.0.2:{port}")


def test_a_host_name_is_all_its_addresses() -> None:
    found = bind("localhost", 0)
    assert found
    for sock in found:
        with sock:
            assert sock.getsockname()[0] in ("127.0.0.1", "::1")


def test_unknown_host_name_is_a_bind_error(sockets: ListeningSockets) -> None:
    with pytest.raises(BindError, match=r"nowhere\.invalid"):
        sockets.prepare({"one": Place(address="nowhere.invalid", port=1)})


def test_descriptors_are_closed_on_exec_and_do_not_block() -> None:
    (sock,) = bind("127.0.0.1", 0)
    with sock:
        assert not sock.get_inheritable()
        assert not sock.getblocking()


def test_socket_of_systemd_is_adopted_and_outlives_its_listener() -> None:
    (given,) = bind("127.0.0.1", 0)
    with closing(ListeningSockets({"dicom": [given]})) as sockets:
        place = Place(name="dicom")
        sockets.commit(sockets.prepare({"one": place}))
        assert sockets.held(place) == (given,)
        sockets.refuse_callers()
        assert connects(address_of(given))
        sockets.commit(sockets.prepare({}))
        sockets.turn()
        assert connects(address_of(given))


def test_stored_socket_is_taken_up_by_its_place() -> None:
    place = Place(address="127.0.0.1", port=4)
    (given,) = bind("127.0.0.1", 0)
    (other,) = bind("127.0.0.1", 0)
    stored = {place.stored_name: [given], f"{STORED_PREFIX}old": [other]}
    with closing(ListeningSockets(stored)) as sockets:
        sockets.commit(sockets.prepare({"one": place}))
        assert sockets.held(place) == (given,)
        assert sockets.drop_stored() == [f"{STORED_PREFIX}old"]
        assert other.fileno() == -1


def test_names_in_the_store_are_those_that_systemd_allows() -> None:
    for place in (Place(address="::1", port=1), Place(address="fe80::1%eth0", port=2)):
        assert ":" not in place.stored_name
        assert place.stored_name.isascii()
    assert Place(address="::1", port=1).stored_name != Place(address="::1", port=2).stored_name
