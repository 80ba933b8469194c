"""/metrics, /healthz and /readyz: a process of its own.

It speaks HTTP with whoever comes, so that no byte from the network reaches the supervisor; what it
shows it asks of the supervisor over its lifeline, once a request. Free room of the stores is looked
up here as well: a file system that hangs holds up nobody but its own scrape.

The names of the metrics are a promise; they are documented in the README's operation chapter.
"""

import queue
import select
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from dicomd.lifeline import HEARTBEAT_S, Lifeline, Message
from dicomd.supervisor.room import room_of

_CALLERS = 16
"""Requests served at once; more are closed unanswered."""
_CALLER_S = 10.0
_ANSWER_S = 4.0
"""Longer than the supervisor waits for its children."""

COUNTERS = (
    ("associations", "dicomd_associations_accepted_total", "Associations accepted"),
    ("rejected", "dicomd_associations_rejected_total", "Associations rejected"),
    ("aborted", "dicomd_associations_aborted_total", "Associations that ended with an abort"),
    ("bytes", "dicomd_received_bytes_total", "Bytes of objects stored"),
)
"""Key of the workers' counters, name, help; each by listener."""


class Figures:
    """A collector over one status, as ``prometheus_client`` wants it."""

    def __init__(self, status: Mapping[str, Any]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Every metric of the daemon."""
        status = self._status
        info = GaugeMetricFamily("dicomd_info", "Version of dicomd", labels=["version"])
        info.add_metric([str(status.get("version", ""))], 1)
        yield info
        yield GaugeMetricFamily(
            "dicomd_start_time_seconds", "When the daemon started", status.get("started_unix", 0)
        )
        yield GaugeMetricFamily("dicomd_up", "1 while every listener serves", status["healthy"])
        yield from self._listeners()
        yield from self._processes()
        yield from self._stores()
        yield from self._reload()
        yield from self._jobs()
        dropped = CounterMetricFamily("dicomd_log_dropped_total", "Log lines that were dropped")
        dropped.add_metric([], status.get("log", {}).get("dropped", 0))
        yield dropped
        index = status.get("index") or {}
        yield GaugeMetricFamily(
            "dicomd_index_backlog", "Objects received and not yet indexed", index.get("backlog", 0)
        )

    def _listeners(self) -> Iterator[Metric]:
        listeners: Mapping[str, Any] = self._status.get("listeners", {})
        live = GaugeMetricFamily(
            "dicomd_associations", "Associations under way", labels=["listener"]
        )
        connections = GaugeMetricFamily(
            "dicomd_connections", "TCP connections without an association", labels=["listener"]
        )
        objects = CounterMetricFamily(
            "dicomd_objects_total",
            "C-STORE requests answered, by DIMSE status in hexadecimal",
            labels=["listener", "status"],
        )
        families = [
            (key, CounterMetricFamily(name, text, labels=["listener"]))
            for key, name, text in COUNTERS
        ]
        for name, listener in listeners.items():
            live.add_metric([name], listener.get("associations", 0))
            connections.add_metric([name], listener.get("connections", 0))
            counters = listener.get("counters", {})
            objects.add_metric([name, "0000"], counters.get("objects", 0))
            for code, count in counters.get("statuses", {}).items():
                if code != "0000":
                    objects.add_metric([name, str(code)], count)
            for key, family in families:
                family.add_metric([name], counters.get(key, 0))
        yield from (live, connections, objects)
        for _, family in families:
            yield family

    def _processes(self) -> Iterator[Metric]:
        processes = GaugeMetricFamily(
            "dicomd_processes", "Processes, by role and state", labels=["role", "state"]
        )
        counted: dict[tuple[str, str], int] = {}
        for worker in self._status.get("workers", []):
            key = (worker["role"], worker["state"])
            counted[key] = counted.get(key, 0) + 1
        for (role, state), count in sorted(counted.items()):
            processes.add_metric([role, state], count)
        yield processes
        exits = CounterMetricFamily(
            "dicomd_worker_exits_total", "Processes that ended unasked", labels=["role"]
        )
        for role, count in self._status.get("worker_exits", {}).items():
            exits.add_metric([role], count)
        yield exits

    def _stores(self) -> Iterator[Metric]:
        free = GaugeMetricFamily("dicomd_store_free_bytes", "Free room", labels=["store"])
        size = GaugeMetricFamily("dicomd_store_size_bytes", "Size of the disk", labels=["store"])
        floor = GaugeMetricFamily(
            "dicomd_store_min_free_bytes", "Below this objects are refused", labels=["store"]
        )
        for name, store in self._status.get("stores", {}).items():
            room = room_of(store.get("directory", ""))
            if room is not None:
                free.add_metric([name], room[0])
                size.add_metric([name], room[1])
            floor.add_metric([name], store.get("min_free_bytes", 0))
        yield from (free, size, floor)

    def _reload(self) -> Iterator[Metric]:
        reload = self._status.get("reload") or {}
        family = CounterMetricFamily(
            "dicomd_reloads_total", "Reloads, by how they ended", labels=["result"]
        )
        for result, count in self._status.get("reloads", {}).items():
            family.add_metric([result], count)
        yield family
        yield GaugeMetricFamily(
            "dicomd_last_reload_successful",
            "0 when the files on disk were refused at the last reload",
            0 if reload.get("result") == "rejected" else 1,
        )
        yield GaugeMetricFamily(
            "dicomd_last_reload_time_seconds", "When it was", reload.get("time_unix", 0)
        )

    def _jobs(self) -> Iterator[Metric]:
        jobs = self._status.get("jobs")
        counters = (self._status.get("requestor") or {}).get("counters", {})
        if jobs is None and not counters:
            return
        for key, value in sorted(counters.items()):
            if isinstance(value, (int, float)):
                family = CounterMetricFamily(
                    f"dicomd_retrieval_{key}_total", f"Scheduled retrievals: {key}"
                )
                family.add_metric([], value)
                yield family


class Asker:
    """Asks the supervisor over the lifeline, for threads. Mutable: answers that are awaited."""

    def __init__(self, lifeline: Lifeline) -> None:
        self._lifeline = lifeline
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Any]] = {}
        self._next = 0

    def status(self) -> dict[str, Any] | None:
        """The supervisor's status; None when it does not answer."""
        box: queue.SimpleQueue[Any] = queue.SimpleQueue()
        with self._lock:
            self._next += 1
            number = self._next
            self._waiting[number] = box
            self._lifeline.send({"report": "asks", "id": number, "what": "status"})
        try:
            answer = box.get(timeout=_ANSWER_S)
        except queue.Empty:
            return None
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        return answer if isinstance(answer, dict) else None

    def send(self, message: Message) -> None:
        """Send a report, from any thread."""
        with self._lock:
            self._lifeline.send(message)

    def told(self, message: Message) -> None:
        """An answer has come."""
        with self._lock:
            box = self._waiting.get(int(message.get("id", 0)))
        if box is not None:
            box.put(message.get("result"))


def answer(path: str, accept: str, status: dict[str, Any] | None) -> tuple[int, str, bytes]:
    """HTTP status, content type and body for a path."""
    match path.partition("?")[0]:
        case "/healthz":
            healthy = status is not None and bool(status["healthy"])
            return _plain(healthy, "ok", "no worker can take an association")
        case "/readyz":
            ready = status is not None and bool(status["ready"])
            return _plain(ready, "ready", "starting or stopping")
        case "/metrics":
            if status is None:
                return _plain(False, "", "the supervisor does not answer")
            registry = CollectorRegistry(auto_describe=False)
            registry.register(Figures(status))
            encode, content_type = choose_encoder(accept)
            return HTTPStatus.OK, content_type, encode(registry)
        case _:
            text = b"There are /metrics, /healthz and /readyz.\n"
            return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", text


def _plain(good: bool, yes: str, no: str) -> tuple[int, str, bytes]:
    code = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return code, "text/plain; charset=utf-8", f"{yes if good else no}\n".encode()


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request."""

    server_version = "dicomd"
    sys_version = ""
    asker: Asker

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        code, content_type, body = answer(
            self.path, self.headers.get("Accept", ""), self.asker.status()
        )
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Scrapes aren't worth a line."""


def serve(sockets: Sequence[socket.socket], lifeline: Lifeline) -> int:
    """Serve until the lifeline says otherwise; in the forked child."""
    asker = Asker(lifeline)
    seats = threading.BoundedSemaphore(_CALLERS)
    lifeline.send({"report": "ready"})
    beat = 0.0
    while True:
        now = time.monotonic()
        if now - beat >= HEARTBEAT_S:
            asker.send({"report": "alive", "counters": {}})
            beat = now
        wanted: list[Any] = [lifeline, *sockets]
        readable, _, _ = select.select(wanted, [], [], HEARTBEAT_S)
        if lifeline in readable:
            for message in lifeline.receive():
                match message.get("order"):
                    case "drain" | "stop":
                        return 0
                    case "told":
                        asker.told(message)
                    case "ask":
                        asker.send({"report": "answer", "id": message["id"], "result": {}})
            if lifeline.closed:
                return 0
        for sock in sockets:
            if sock in readable:
                _accept(sock, seats, asker)


def _accept(listening: socket.socket, seats: threading.BoundedSemaphore, asker: Asker) -> None:
    try:
        connection, address = listening.accept()
    except OSError:
        time.sleep(0.05)  # out of descriptors: don't spin on a socket that stays readable
        return
    if not seats.acquire(blocking=False):
        connection.close()
        return
    thread = threading.Thread(target=_talk, args=(connection, address, seats, asker), daemon=True)
    thread.start()


def _talk(
    connection: socket.socket, address: Any, seats: threading.BoundedSemaphore, asker: Asker
) -> None:
    handler = type("Handler", (_Handler,), {"asker": asker})
    try:
        connection.settimeout(_CALLER_S)
        handler(connection, address, None)
    except (OSError, ValueError):
        return
    finally:
        connection.close()
        seats.release()
