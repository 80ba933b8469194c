"""Crews: the workers of one listener in one generation, born with its settings.

Siblings of a crew, and crews of one listener, share the listening sockets and the scoreboard that
the listener's limits are counted on. A crew is replaced as a whole when anything changes that its
workers were born with, the contents of TLS files included.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from socket import socket

from dicomd.acceptor import worker as acceptor
from dicomd.errors import StartError
from dicomd.lifeline import Activity, Lifeline, Scoreboard
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.listener import ListenerSettings, TlsSettings
from dicomd.settings.log import LogSettings
from dicomd.settings.storage import StoreSettings
from dicomd.supervisor.children import Role

_SPARE_GENERATIONS = 32
"""Generations of a listener that can drain at once and still count against the same limits."""
WORKER_SILENCE_S = 20.0
"""A worker without a heartbeat for this long is replaced: before systemd's watchdog (30 s), which
is not fed meanwhile when it is a listener's last, would end the whole service."""


@dataclass(eq=False)
class Board:
    """A scoreboard and which of its rows are free. Mutable."""

    scoreboard: Scoreboard
    free: list[int]
    activity: Activity | None = None
    """Where arrivals are counted for a retrieval that runs beside (``dicomd move``)."""
    crews: int = 0


@dataclass(frozen=True, slots=True)
class Trade:
    """All that the workers of a crew are born with; two crews with the same trade are the same."""

    listener: ListenerSettings
    store: StoreSettings
    receipts_directory: str
    logging: LogSettings
    files: str
    """A digest of the files that workers read for themselves (TLS)."""


@dataclass(eq=False, kw_only=True)
class Crew:
    """Workers of one listener. Mutable: the roles lose their children as they end."""

    name: str
    trade: Trade
    generation: int
    sockets: Sequence[socket]
    board: Board
    rows: list[int] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)

    @property
    def is_ready(self) -> bool:
        """Whether every worker serves."""
        return all(role.child and role.child.state == "running" for role in self.roles)

    @property
    def is_gone(self) -> bool:
        """Whether no worker is left."""
        return all(role.child is None for role in self.roles)


def trade_of(settings: DaemonSettings, name: str) -> Trade:
    """What a listener's workers would be born with. StartError when its store isn't there."""
    listener = settings.listeners[name]
    return Trade(
        listener=listener,
        store=store_of(settings, name),
        receipts_directory=receipts_directory(settings),
        logging=settings.logging,
        files=_digest(listener.tls),
    )


def store_of(settings: DaemonSettings, name: str) -> StoreSettings:
    """The store of a listener: the one it names, or the only one there is."""
    wanted = settings.listeners[name].store
    if not wanted and len(settings.stores) == 1:
        return next(iter(settings.stores.values()))
    try:
        return settings.stores[wanted]
    except KeyError as error:
        known = ", ".join(settings.stores) or "none"
        raise StartError(f"listener {name}: no store {wanted!r} (there are: {known})") from error


def receipts_directory(settings: DaemonSettings) -> str:
    """Where workers note what they received; empty when nothing is kept."""
    return os.path.join(settings.state_directory, "receipts") if settings.state_directory else ""


def worker_count(listener: ListenerSettings) -> int:
    """How many processes serve the listener."""
    if listener.workers == "auto":
        return max(1, len(os.sched_getaffinity(0)))
    return listener.workers


def new_board(listener: ListenerSettings, *, with_activity: bool) -> Board:
    """A scoreboard with rows for many generations."""
    rows = worker_count(listener) * _SPARE_GENERATIONS
    scoreboard = Scoreboard(rows=rows, associations=listener.limits.associations)
    activity = Activity(rows=rows) if with_activity else None
    return Board(scoreboard, list(range(rows)), activity)


def assemble(
    name: str,
    trade: Trade,
    sockets: Sequence[socket],
    *,
    generation: int,
    before: Crew | None,
    with_activity: bool,
    gather_lines: Callable[[], Callable[[], None]],
) -> Crew:
    """A crew with its roles, not yet forked. It counts on the scoreboard of the crew before it
    where that has room and the same size. ``gather_lines`` is called in each worker: its log lines
    are gathered from then on, and go out with what it returns."""
    count = worker_count(trade.listener)
    board = before.board if before is not None else None
    if (
        board is None
        or len(board.free) < count
        or board.scoreboard.associations_per_row != trade.listener.limits.associations
    ):
        board = new_board(trade.listener, with_activity=with_activity)
    board.crews += 1
    crew = Crew(name=name, trade=trade, generation=generation, sockets=sockets, board=board)
    for _ in range(count):
        row = board.free.pop(0)
        crew.rows.append(row)
        crew.roles.append(
            Role(
                kind="acceptor",
                name=name,
                listener=name,
                generation=generation,
                keeps=tuple(sockets),
                birth=partial(_serve, crew, row, gather_lines),
                silence_s=WORKER_SILENCE_S,
            )
        )
    return crew


def dissolve(crew: Crew) -> None:
    """The last worker of a crew is gone: its rows are free again."""
    for row in crew.rows:
        crew.board.scoreboard.clear(row)
    crew.board.free.extend(crew.rows)
    crew.rows.clear()
    crew.board.crews -= 1
    if not crew.board.crews:
        crew.board.scoreboard.close()


def _serve(
    crew: Crew, row: int, gather_lines: Callable[[], Callable[[], None]], lifeline: Lifeline
) -> int:
    return acceptor.run(
        acceptor.AcceptorBirth(
            name=crew.name,
            listener=crew.trade.listener,
            store=crew.trade.store,
            sockets=crew.sockets,
            lifeline=lifeline,
            scoreboard=crew.board.scoreboard,
            row=row,
            receipts_directory=crew.trade.receipts_directory,
            generation=crew.generation,
            turn=gather_lines(),
            activity=crew.board.activity,
        )
    )


def _digest(tls: TlsSettings | None) -> str:
    if tls is None:
        return ""
    digest = hashlib.sha256()
    for name in (
        tls.certificate,
        tls.key,
        tls.key_password_file,
        tls.ca,
        tls.crl,
        *tls.further_authorities,
    ):
        for path in _files(name):
            digest.update(os.fsencode(path) + b"\0")
            try:
                digest.update(path.read_bytes())
            except OSError as error:
                digest.update(str(error.errno).encode())
    return digest.hexdigest()


def _files(name: str) -> list[Path]:
    if not name:
        return []
    path = Path(name)
    return sorted(path.iterdir()) if path.is_dir() else [path]
