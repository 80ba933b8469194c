"""The service: crews of workers, the clerk, the requestor and the metrics server, as settings ask.

A change of settings is made in two steps. ``prepare`` does all that can fail without touching what
runs: sockets are opened, stores locked, log outputs opened, and a new crew is forked for each
listener that changes. When every new worker has said that it serves, ``commit`` lets the old crews
drain and swaps the rest; if anything fails, ``abandon`` undoes it and nobody has noticed.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module

import structlog

from dicomd.lifeline import Activity, Lifeline
from dicomd.settings.daemon import DaemonSettings
from dicomd.supervisor import crew as crews
from dicomd.supervisor.children import Children, Role
from dicomd.supervisor.crew import Crew
from dicomd.supervisor.metrics import serve as serve_metrics
from dicomd.supervisor.reload import ReloadPlan, plan
from dicomd.supervisor.sockets import ListeningSockets, Place, Prospect, address_of, place_of
from dicomd.supervisor.stores import Stores

log = structlog.get_logger("dicomd.supervisor")

METRICS = "metrics"
"""The owner of the metrics server's socket; a listener's name follows another rule."""
CLERK_BIRTH_S = 60.0
CLERK_SILENCE_S = 120.0
"""The clerk and the requestor wait for disks and databases; a worker never does."""
_CLERK_NICENESS = 5
"""Receiving goes first where processors are short: the index can follow later."""
RELOAD_DRAIN_S = 86400.0
"""How long an old generation may go on. The associations' own clocks end it long before."""


@dataclass(eq=False, kw_only=True)
class Preparation:
    """New settings, with all that could fail done. Mutable until it is committed."""

    settings: DaemonSettings
    plan: ReloadPlan | None
    prospect: Prospect
    crews: dict[str, Crew] = field(default_factory=dict)
    singletons: dict[str, Role] = field(default_factory=dict)
    """At a first start: those without which it fails. Later they are replaced after the fact."""

    @property
    def is_ready(self) -> bool:
        """Whether every new worker serves."""
        return all(crew.is_ready for crew in self.crews.values()) and all(
            role.child is not None and role.child.state == "running"
            for role in self.singletons.values()
        )

    def has(self, role: Role) -> bool:
        """Whether a role belongs to it."""
        return role in self.singletons.values() or any(
            role in crew.roles for crew in self.crews.values()
        )

    def crew_of(self, role: Role) -> Crew | None:
        """The crew that a role belongs to."""
        return next((crew for crew in self.crews.values() if role in crew.roles), None)


class Service:
    """What runs. Mutable: crews by listener, old crews, the singletons."""

    def __init__(
        self,
        children: Children,
        sockets: ListeningSockets,
        stores: Stores,
        gather_lines: Callable[[], Callable[[], None]],
    ) -> None:
        self._children = children
        self._sockets = sockets
        self._stores = stores
        self._gather_lines = gather_lines
        self.settings = DaemonSettings()
        self.crews: dict[str, Crew] = {}
        self.old_crews: list[Crew] = []
        self.singletons: dict[str, Role] = {}
        self.old_requestors: list[Role] = []
        self._successors: dict[str, Role] = {}
        self.generation = 0

    def import_ahead(self, settings: DaemonSettings) -> None:
        """Import what children will need, so that they share it, and before a change of user that
        could put it out of reach. dbos alone is left to the process that uses it."""
        if settings.state_directory and settings.index.enabled:
            import_module("dicomd.indexer.worker")

    def open_sockets(self, settings: DaemonSettings, *, patience_s: float = 0.0) -> Prospect:
        """Open the sockets that are missing; StartError when one cannot be had."""
        wanted = {name: place_of(name, item) for name, item in settings.listeners.items()}
        metrics = _metrics_place(settings)
        if metrics is not None:
            wanted[METRICS] = metrics
        return self._sockets.prepare(wanted, patience_s=patience_s)

    def prepare(
        self, settings: DaemonSettings, prospect: Prospect, *, patience_s: float = 0.0
    ) -> Preparation:
        """Make new crews for what changes, over sockets that are open. ConfigError or StartError:
        nothing is left of it, the sockets included."""
        first = not self.generation
        try:
            trades = {name: crews.trade_of(settings, name) for name in settings.listeners}
            replaced = [
                name
                for name, trade in trades.items()
                if name in self.crews
                and (
                    self.crews[name].trade != trade
                    or tuple(self.crews[name].sockets) != self._sockets.sockets_of(prospect, name)
                )
            ]
            planned = None if first else plan(self.settings, settings, replaced=replaced)
            preparation = Preparation(settings=settings, plan=planned, prospect=prospect)
            self._stores.lock(settings, patience_s=patience_s)
        except BaseException:
            self._sockets.abandon(prospect)
            raise
        self.generation += 1
        for name, trade in trades.items():
            if name in replaced or name not in self.crews:
                preparation.crews[name] = crews.assemble(
                    name,
                    trade,
                    self._sockets.sockets_of(prospect, name),
                    generation=self.generation,
                    before=self.crews.get(name),
                    with_activity=settings.once is not None,
                    gather_lines=self._gather_lines,
                )
        if first:
            for role in (
                self._indexer_role(settings),
                self._metrics_role(settings, prospect),
            ):
                if role is not None:
                    preparation.singletons[role.name] = role
        elif planned is not None and planned.requestor:
            # It waits, by a lock of its own, until the one before has ended what it had begun.
            requestor = self._requestor_role(settings)
            if requestor is not None:
                preparation.singletons[requestor.name] = requestor
        return preparation

    def bear(self, preparation: Preparation) -> None:
        """Fork the new crews."""
        for crew in preparation.crews.values():
            for role in crew.roles:
                self._children.employ(role)
        for role in preparation.singletons.values():
            self._children.employ(role)

    def commit(self, preparation: Preparation) -> tuple[list[Place], list[Place]]:
        """The new crews serve: let the old ones go. Returns places opened and closed."""
        settings = preparation.settings
        first = preparation.plan is None
        for name in list(self.crews):
            if name in preparation.crews or name not in settings.listeners:
                self._dismiss_crew(self.crews.pop(name), seconds=RELOAD_DRAIN_S, reason="reload")
        self.crews.update(preparation.crews)
        opened, closed = self._sockets.commit(preparation.prospect)
        self.settings = settings
        self._stores.keep(settings, self._directories_in_use())
        changed = preparation.plan
        if changed is not None and changed.requestor and "requestor" in self.singletons:
            before = self.singletons.pop("requestor")
            self.old_requestors.append(before)
            self._children.dismiss(before, seconds=RELOAD_DRAIN_S, reason="reload")
        self.singletons.update(preparation.singletons)
        if first:
            # Not having its database must not keep a first start from receiving.
            self._replace("requestor", self._requestor_role(settings))
        if changed is not None and changed.indexer:
            self._replace("indexer", self._indexer_role(settings))
        if changed is not None and changed.metrics:
            self._replace(METRICS, self._metrics_role(settings, preparation.prospect))
        return opened, closed

    def abandon(self, preparation: Preparation) -> None:
        """Undo a preparation: its workers end, its sockets close, its stores are let go. A worker
        may have taken a call already: that one goes on to its end."""
        for crew in preparation.crews.values():
            self._dismiss_crew(crew, seconds=RELOAD_DRAIN_S, reason="reload")
        for role in preparation.singletons.values():
            self._children.dismiss(role, seconds=0, reason="reload")
        self._sockets.abandon(preparation.prospect)
        self._stores.keep(self.settings, self._directories_in_use())

    def employ_once(self) -> None:
        """Fork the one retrieval of ``dicomd move``."""
        if self.settings.once is not None:
            boards = [crew.board for crew in self.crews.values()]
            activity = boards[0].activity if boards else None
            role = Role(
                kind="once",
                name="once",
                once=True,
                birth=partial(_retrieve_once, self.settings, activity),
                birth_s=CLERK_BIRTH_S,
                silence_s=CLERK_SILENCE_S,
            )
            self.singletons["once"] = role
            self._children.employ(role)

    def dismiss_receivers(self, *, seconds: float | None) -> None:
        """Stop: crews and everything that calls out end within ``seconds``; None: associations
        go on until they end by themselves."""
        reason = "stop" if seconds is not None else "reload"
        self._successors.clear()
        for crew in [*self.crews.values(), *self.old_crews]:
            for role in crew.roles:
                self._children.dismiss(role, seconds=seconds, reason=reason)
        for name in ("requestor", "once"):
            self.dismiss_singleton(name, seconds=seconds)
        for role in self.old_requestors:
            self._children.dismiss(role, seconds=seconds, reason="stop")

    def dismiss_singleton(self, name: str, *, seconds: float | None) -> None:
        """Stop one of the others."""
        role = self.singletons.get(name)
        if role is not None:
            self._children.dismiss(role, seconds=seconds, reason="stop")

    def is_alive(self, *names: str) -> bool:
        """Whether one of these singletons has a process."""
        return any(role.child is not None for name in names if (role := self.singletons.get(name)))

    @property
    def calls_out(self) -> bool:
        """Whether any process is left that calls peers."""
        old = any(role.child is not None for role in self.old_requestors)
        return old or self.is_alive("requestor", "once")

    @property
    def has_workers(self) -> bool:
        """Whether any acceptor worker is left."""
        return any(not crew.is_gone for crew in [*self.crews.values(), *self.old_crews])

    def crew_of(self, role: Role) -> Crew | None:
        """The crew that a role belongs to."""
        for crew in [*self.crews.values(), *self.old_crews]:
            if role in crew.roles:
                return crew
        return None

    def gone(self, role: Role, pid: int, start_time: int, *, clean: bool) -> None:
        """A child was reaped: sweep what it left unless it ended in order, let its crew end, let
        its successor begin."""
        crew = self.crew_of(role)
        if crew is not None:
            crew.board.scoreboard.clear(crew.rows[crew.roles.index(role)])
            if not clean:
                self._stores.sweep_after(crew.trade.store.directory, pid, start_time)
            if crew in self.old_crews and crew.is_gone:
                self.old_crews.remove(crew)
                crews.dissolve(crew)
                self._stores.keep(self.settings, self._directories_in_use())
        if role in self.old_requestors:
            self.old_requestors.remove(role)
            return
        successor = self._successors.pop(role.name, None)
        if successor is not None and role.retired:
            self.singletons[role.name] = successor
            self._children.employ(successor)
        elif role.retired and self.singletons.get(role.name) is role:
            del self.singletons[role.name]

    def addresses(self, name: str) -> list[str]:
        """Where a listener or the metrics server can be reached."""
        if name == METRICS:
            place = _metrics_place(self.settings)
            if place is None:
                return []
        else:
            place = place_of(name, self.settings.listeners[name])
        return [address_of(sock) for sock in self._sockets.held(place)]

    def _dismiss_crew(self, crew: Crew, *, seconds: float, reason: str) -> None:
        for role in crew.roles:
            self._children.dismiss(role, seconds=seconds, reason=reason)
        if crew.is_gone:
            crews.dissolve(crew)
        else:
            self.old_crews.append(crew)

    def _replace(self, name: str, role: Role | None) -> None:
        """A singleton's successor begins when the one before has ended: two would be in each
        other's way."""
        before = self.singletons.get(name)
        if before is None or before.child is None:
            if before is not None:
                self._children.dismiss(before, seconds=0, reason="reload")
                self.singletons.pop(name, None)
            if role is not None:
                self.singletons[name] = role
                self._children.employ(role)
            return
        if role is not None:
            self._successors[name] = role
        seconds = 0.0 if name == METRICS else RELOAD_DRAIN_S
        self._children.dismiss(before, seconds=seconds, reason="reload")

    def _directories_in_use(self) -> set[str]:
        return {crew.trade.store.directory for crew in [*self.crews.values(), *self.old_crews]}

    def _indexer_role(self, settings: DaemonSettings) -> Role | None:
        if not settings.state_directory or not settings.index.enabled:
            return None
        return Role(
            kind="indexer",
            name="indexer",
            birth=partial(_keep_index, settings),
            birth_s=CLERK_BIRTH_S,
            silence_s=CLERK_SILENCE_S,
            generation=self.generation,
        )

    def _requestor_role(self, settings: DaemonSettings) -> Role | None:
        if not settings.state_directory or not settings.retrievals:
            return None
        return Role(
            kind="requestor",
            name="requestor",
            birth=partial(_retrieve, settings),
            birth_s=CLERK_BIRTH_S,
            silence_s=CLERK_SILENCE_S,
            generation=self.generation,
        )

    def _metrics_role(self, settings: DaemonSettings, prospect: Prospect) -> Role | None:
        if settings.metrics is None:
            return None
        sockets = self._sockets.sockets_of(prospect, METRICS)
        return Role(
            kind="metrics",
            name=METRICS,
            birth=partial(serve_metrics, sockets),
            keeps=sockets,
            generation=self.generation,
        )


def _metrics_place(settings: DaemonSettings) -> Place | None:
    if settings.metrics is None:
        return None
    address, port = settings.metrics.address, settings.metrics.port
    return Place(address=address, port=port, owner="" if port else METRICS)


def _keep_index(settings: DaemonSettings, lifeline: Lifeline) -> int:
    """The clerk's birth. Tools have no clerk, and no use for its imports."""
    from dicomd.indexer import worker

    with contextlib.suppress(OSError):  # the system may not let us
        os.nice(_CLERK_NICENESS)
    return worker.run(worker.IndexerBirth(settings=settings, lifeline=lifeline))


def _retrieve(settings: DaemonSettings, lifeline: Lifeline) -> int:
    """The requestor's birth; dbos is imported in its process alone."""
    from dicomd.requestor import worker

    return worker.run(worker.RequestorBirth(settings=settings, lifeline=lifeline))


def _retrieve_once(settings: DaemonSettings, activity: Activity | None, lifeline: Lifeline) -> int:
    from dicomd.requestor import once

    return once.run(settings, lifeline, activity)
