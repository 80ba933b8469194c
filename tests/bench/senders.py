"""A sender that is no bottleneck: everything is encoded beforehand, one send and one wait each.

Run as a process of its own (``python -m tests.bench.senders``), so that it shares no interpreter
with anything. It prints seconds and its own CPU seconds as JSON.
"""

import argparse
import json
import resource
import select
import socket
import threading
import time

from tests.bench.objects import RELEASE_REQUEST, Encoded, association_request

_RESPONSE_BYTES = 65536
_HEADER_BYTES = 6
_LARGE_BYTES = 65536


def connect(port: int) -> tuple[socket.socket, int]:
    """An association; returns its socket and the receiver's maximum length."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(association_request())
    answer = _receive_pdu(sock)
    assert answer[0] == 2, "the association was not accepted"
    at = answer.index(b"\x51\x00\x00\x04")
    return sock, int.from_bytes(answer[at + 4 : at + 8]) or 131072


def _receive_pdu(sock: socket.socket) -> bytes:
    data = b""
    while len(data) < _HEADER_BYTES or len(data) < _HEADER_BYTES + int.from_bytes(data[2:6]):
        more = sock.recv(_RESPONSE_BYTES)
        assert more, "the receiver closed the connection"
        data += more
    return data


def send_all(port: int, *, first: int, count: int, size: int) -> tuple[float, float]:
    """Objects over one association; seconds, and our CPU seconds."""
    sock, max_pdu = connect(port)
    encoded = Encoded.make(first, count, size, min(max_pdu, 131072))
    tail = encoded.tail
    began, cpu = time.perf_counter(), time.process_time()
    for head in encoded.heads:
        _send(sock, head, tail)
        answer = sock.recv(_RESPONSE_BYTES)
        while len(answer) < _HEADER_BYTES + int.from_bytes(answer[2:6]):
            answer += sock.recv(_RESPONSE_BYTES)
        assert answer[0] == 4, "no response"
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    sock.sendall(RELEASE_REQUEST)
    sock.recv(_RESPONSE_BYTES)
    sock.close()
    return seconds, cpu


def send_at_once(
    port: int, *, associations: int, first: int, count: int, size: int
) -> tuple[float, float]:
    """The same over several associations at once, ``count`` objects in all. One that the receiver
    takes up only later (dcmrecv serves one at a time) starts when it is taken up."""
    share = count // associations
    plans = []
    for index in range(associations):
        encoded = Encoded.make(first + index * share, share, size, 131072)
        plans.append(encoded)
    poll = select.epoll()
    socks: dict[int, tuple[socket.socket, list[bytes], bytes]] = {}
    began, cpu = time.perf_counter(), time.process_time()
    for plan in plans:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(association_request())
        socks[sock.fileno()] = (sock, plan.heads[::-1], plan.tail)
        poll.register(sock.fileno(), select.EPOLLIN)
    while socks:
        for fd, _ in poll.poll():
            sock, heads, tail = socks[fd]
            answer = sock.recv(_RESPONSE_BYTES)
            assert answer, "the receiver closed the connection"
            # dcmrecv sends a header and its body apart.
            while len(answer) < _HEADER_BYTES + int.from_bytes(answer[2:6]):
                answer += sock.recv(_RESPONSE_BYTES)
            if heads:
                sock.sendmsg((heads.pop(), tail))
                continue
            if answer[0] == 4:
                sock.sendall(RELEASE_REQUEST)
                continue
            del socks[fd]
            poll.unregister(fd)
            sock.close()
    return time.perf_counter() - began, time.process_time() - cpu


def send_in_threads(
    port: int, *, associations: int, first: int, count: int, size: int
) -> tuple[float, float]:
    """The same with large objects: a send of one that waits for its receiver holds up no other."""
    share = count // associations
    plans = [
        Encoded.make(first + index * share, share, size, 131072) for index in range(associations)
    ]

    def send(plan: Encoded) -> None:
        sock, _ = connect(port)
        for head in plan.heads:
            _send(sock, head, plan.tail)
            assert _receive_pdu(sock)[0] == 4, "no response"
        sock.sendall(RELEASE_REQUEST)
        _receive_pdu(sock)
        sock.close()

    threads = [threading.Thread(target=send, args=(plan,)) for plan in plans]
    began, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began, time.process_time() - cpu


def _send(sock: socket.socket, head: bytes, tail: bytes) -> None:
    sent = sock.sendmsg((head, tail))
    if sent < len(head) + len(tail):
        sock.sendall((head + tail)[sent:])


def main() -> None:
    """Send as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--size", type=int, required=True)
    options = parser.parse_args()
    if options.associations == 1:
        seconds, cpu = send_all(
            options.port, first=options.first, count=options.count, size=options.size
        )
    else:
        send = send_in_threads if options.size > _LARGE_BYTES else send_at_once
        seconds, cpu = send(
            options.port,
            associations=options.associations,
            first=options.first,
            count=options.count,
            size=options.size,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_kib": peak}))


if __name__ == "__main__":
    main()
