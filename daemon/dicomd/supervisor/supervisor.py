"""The one parent process: starts everything, watches it, reloads it, stops it.

The supervisor is single-threaded and touches no DICOM and no byte from the network. Its loop waits
on one selector: signals (a pipe), lifelines of children, the control socket. Nothing in it waits
for anybody else, with one exception: reading the configuration.

Life: *starting* until every child is ready, *running*, *reloading* while new workers are born,
*stopping* in this order: acceptors and requestor, then the clerk (so that it has seen every
receipt), then the metrics server, then the log writer.
"""

import os
import selectors
import signal
import time
from collections.abc import Callable
from typing import Any

import structlog

import dicomd
from dicomd.errors import Fault, StartError
from dicomd.lifeline import Message
from dicomd.logs.configure import LogService
from dicomd.settings.daemon import DaemonSettings
from dicomd.supervisor import process
from dicomd.supervisor.children import Child, Children, Role
from dicomd.supervisor.control import Control, Reply, bind_control_socket
from dicomd.supervisor.reloading import Reloading, prepare_logs
from dicomd.supervisor.reporter import Reporter
from dicomd.supervisor.service import METRICS, Preparation, Service
from dicomd.supervisor.signals import Signals
from dicomd.supervisor.sockets import LEAVE_AFTER_S, ListeningSockets
from dicomd.supervisor.state import StateDirectory
from dicomd.supervisor.status import Record
from dicomd.supervisor.stores import Stores
from dicomd.supervisor.systemd import Systemd, inherited_sockets

log = structlog.get_logger("dicomd.supervisor")

PATIENCE_S = 1.5
"""How long a start waits for sockets and folders of an instance that was killed just now."""
_CLERK_STOP_S = 20.0
_STOP_MARGIN_S = 45.0
"""Above the drain: what the clerk and the log writer may take at the end."""
_JOBS_S = 60.0
_UMASK = 0o027


class Supervisor:
    """The roof. Mutable: the phase, the service, who waits for what.

    ``load`` returns the settings or raises ConfigError; it is called at the start and with each
    reload. With a state directory this is a daemon: it sets the umask and is patient at the start;
    without one it is a tool (``recv``, ``move``) and takes things as they are.
    """

    def __init__(self, load: Callable[[], DaemonSettings]) -> None:
        self._load = load
        self._selector = selectors.DefaultSelector()
        self._children = Children(self, self._selector)
        self._sockets = ListeningSockets(inherited_sockets(os.environ))
        self._systemd = Systemd(os.environ)
        self._stores = Stores()
        self._state = StateDirectory()
        self._logs = LogService()
        self._service = Service(self._children, self._sockets, self._stores, self._logs.batch)
        self._control = Control(self._selector, self._command)
        self._record = Record()
        self._reporter = Reporter(
            children=self._children,
            service=self._service,
            record=self._record,
            logs=self._logs,
            systemd=self._systemd,
        )
        self._reloading = Reloading(
            load,
            service=self._service,
            logs=self._logs,
            control=self._control,
            record=self._record,
        )
        self._signals: Signals | None = None
        self._first: Preparation | None = None
        self._failed_start: StartError | None = None
        self._stop_asked: list[float | None] = []
        self._stop_waits: list[Reply] = []
        self._stop_began = 0.0
        self._refuse_at: float | None = None
        self._exit_code = 0
        self._finished = False
        self._logs_started = False

    def run(self) -> int:
        """Serve until told to stop; returns the exit code. ConfigError and StartError: it did not
        start, and nothing of it is left."""
        process.raise_descriptor_limit()
        self._signals = Signals()
        try:
            self._selector.register(self._signals, selectors.EVENT_READ, self._on_signals)
            self._start(self._load())
            while not self._finished:
                self._turn()
            if self._failed_start is not None:
                raise self._failed_start
        finally:
            self._clean_up()
        return self._exit_code

    def _start(self, settings: DaemonSettings) -> None:
        """All that a first start does before the loop turns."""
        daemon = bool(settings.state_directory)
        patience_s = PATIENCE_S if daemon else 0.0
        owner = process.identity(settings.user, settings.group)
        if daemon:
            os.umask(_UMASK)
            self._state.open(settings.state_directory, owner=owner, patience_s=patience_s)
        if settings.control_socket:
            sock = bind_control_socket(settings.control_socket, owner=owner)
            self._control.open(sock, settings.control_socket)
        prospect = self._service.open_sockets(settings, patience_s=patience_s)
        try:
            self._service.import_ahead(settings)
            process.drop_privileges(settings.user, settings.group)
            logs = prepare_logs(settings)
        except BaseException:
            self._sockets.abandon(prospect)
            raise
        self._logs.start(logs)
        self._logs_started = True
        for warning in settings.warnings:
            log.warning("config.warned", reason=warning)
        log.info("daemon.starting", version=dicomd.__version__)
        if daemon and os.geteuid() == 0:
            log.warning("daemon.privileged")
        preparation = self._service.prepare(settings, prospect, patience_s=patience_s)
        process.share_memory_with_children()
        self._first = preparation
        self._service.bear(preparation)

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._children.due_in()):
            try:
                key.data(mask)
            except Exception:  # the one place of this loop that catches broadly
                log.exception("supervisor.failed")
        self._children.turn()
        self._sockets.turn()
        self._logs.turn()
        self._logs.flush()
        now = time.monotonic()
        for preparation in (self._first, self._reloading.preparation):
            if preparation is not None and preparation.is_ready:
                self._put_in_force(preparation)
        if self._refuse_at is not None and now >= self._refuse_at:
            self._refuse_at = None
            self._sockets.refuse_callers()
        if self._reporter.phase == "stopping":
            self._go_on_stopping()
        self._reporter.turn(now)

    def _put_in_force(self, preparation: Preparation) -> None:
        """Every new worker serves: these settings are what counts now."""
        names = {**self._service.settings.listeners, **preparation.settings.listeners}
        before = {name: self._service.addresses(name) for name in self._service.settings.listeners}
        opened, closed = self._service.commit(preparation)
        for place in closed:
            self._systemd.unstore(place.stored_name)
        for place in opened:
            if not place.name:
                self._systemd.store(place.stored_name, self._sockets.held(place))
        self._reporter.phase = "running"
        for name in names:
            listener = preparation.settings.listeners.get(name)
            addresses = self._service.addresses(name) if listener is not None else []
            if before.get(name, []) == addresses:
                continue
            if before.get(name):
                log.info("listener.closed", listener=name, addresses=before[name])
            if listener is not None:
                log.info(
                    "listener.opened",
                    listener=name,
                    addresses=addresses,
                    ae_title=listener.ae_title,
                    workers=len(self._service.crews[name].roles),
                    tls=listener.tls is not None,
                )
        if preparation.plan is not None:
            self._reloading.ended(preparation.plan)
            self._after_reload()
            return
        self._first = None
        for stored in self._sockets.drop_stored():
            self._systemd.unstore(stored)
        log.info(
            "daemon.started",
            version=dicomd.__version__,
            seconds=round(time.monotonic() - self._record.started_monotonic, 3),
            listeners=list(preparation.settings.listeners),
        )
        self._systemd.ready(self._reporter.line())
        if self._stop_asked:
            self._begin_stop(seconds=self._stop_asked[0])
            return
        self._service.employ_once()
        if self._reloading.again is not None:
            self._after_reload()

    # Reload and stop.

    def _begin_reload(self, waits: list[Reply]) -> None:
        if self._reporter.phase == "stopping":
            for wait in waits:
                wait({"ok": False, "error": "the daemon is stopping"})
        elif self._reporter.phase != "running":
            self._reloading.again = [*(self._reloading.again or []), *waits]
        else:
            self._reporter.phase = "reloading"
            self._systemd.reloading()
            if not self._reloading.begin(waits):
                self._after_reload()

    def _after_reload(self) -> None:
        """A reload has ended, this way or that: say so, and carry out what came meanwhile."""
        self._reporter.phase = "running"
        self._systemd.ready(self._reporter.line())
        again, self._reloading.again = self._reloading.again, None
        if again is not None:
            self._begin_reload(again)

    def _begin_stop(self, *, seconds: float | None) -> None:
        """Stop with ``seconds`` of time for what runs; None: as long as it takes. A second order
        leaves no time."""
        if self._reporter.phase == "starting" and not self._stop_asked:
            # A worker may serve already: it is drained as soon as all have begun.
            self._stop_asked = [seconds]
            return
        if self._reporter.phase == "starting":
            self._finished = True
            return
        if self._reporter.phase == "stopping":
            self._service.dismiss_receivers(seconds=0.0)
            return
        self._reporter.phase = "stopping"
        self._reloading.stop()
        self._stop_began = time.monotonic()
        if not self._systemd.present:
            # With systemd callers wait in the stored sockets for the next instance.
            self._refuse_at = self._stop_began + LEAVE_AFTER_S
        log.info("daemon.stopping", seconds=seconds)
        self._systemd.stopping("Stopping; running associations may end")
        if seconds:
            self._systemd.extend(seconds + _STOP_MARGIN_S)
        self._service.dismiss_receivers(seconds=seconds)

    def _go_on_stopping(self) -> None:
        service = self._service
        if service.has_workers or service.calls_out:
            return
        if service.is_alive("indexer"):
            if not service.singletons["indexer"].retired:
                service.dismiss_singleton("indexer", seconds=_CLERK_STOP_S)
            return
        if service.is_alive(METRICS):
            if not service.singletons[METRICS].retired:
                service.dismiss_singleton(METRICS, seconds=0.0)
            return
        if len(self._children):
            return
        seconds = round(time.monotonic() - self._stop_began, 3)
        log.info("daemon.stopped", seconds=seconds)
        for wait in self._stop_waits:
            wait({"ok": True, "result": {"seconds": seconds}})
        self._stop_waits.clear()
        self._finished = True

    def _clean_up(self) -> None:
        """However it ended: leave nothing behind."""
        for child in self._children:
            self._children.kill(child, "the supervisor ends")
        while len(self._children):
            self._children.reap()
            time.sleep(0.002)
        self._control.flush()
        self._control.close()
        self._sockets.close()
        self._stores.close()
        self._state.close()
        if self._logs_started:
            self._logs.stop()
        self._systemd.close()
        self._selector.close()
        if self._signals is not None:
            self._signals.close()

    # What comes in: signals, children, orders.

    def _on_signals(self, mask: int) -> None:
        del mask
        assert self._signals is not None
        for number in self._signals.take():
            match number:
                case signal.SIGCHLD:
                    self._children.reap()
                case signal.SIGHUP:
                    self._begin_reload([])
                case signal.SIGTERM:
                    self._begin_stop(seconds=self._service.settings.drain_timeout)
                case signal.SIGINT | signal.SIGQUIT:
                    self._begin_stop(seconds=0.0)
                case signal.SIGUSR1:
                    self._logs.reopen()
                case signal.SIGUSR2:
                    self._reporter.log_snapshot()

    def child_ready(self, child: Child) -> None:
        """It does its work from now on."""
        log.debug(
            "worker.started",
            worker=child.role.name,
            kind=child.role.kind,
            worker_pid=child.pid,
            generation=child.role.generation,
            seconds=round(time.monotonic() - child.born, 4),
        )

    def child_gone(self, child: Child, code: int) -> None:
        """It was reaped; settle what it leaves, and decide whether that ends something."""
        role = child.role
        expected = role.retired or role.once or child.state in ("draining", "stopping")
        expected = expected or self._finished
        if role.listener:
            self._record.ledger.close_account(role.listener, child.counters)
        write = log.info if expected and not child.killed_because else log.warning
        write(
            "worker.exited",
            worker=role.name,
            kind=role.kind,
            worker_pid=child.pid,
            generation=role.generation,
            **_ending(code),
            reason=child.killed_because or child.failure or None,
        )
        if not expected:
            exits = self._record.worker_exits
            exits[role.kind] = exits.get(role.kind, 0) + 1
        self._service.gone(role, child.pid, child.start_time, clean=code == 0)
        text = child.failure or child.killed_because or f"it ended with {_words(code)}"
        if self._first is not None and self._first.has(role):
            self._failed_start = StartError(f"{role.kind} {role.name} could not start: {text}")
            self._finished = True
        reload = self._reloading.preparation
        if reload is not None and reload.has(role):
            self._reloading.failed(Fault("", 0, 0, f"a worker of {role.name} cannot start: {text}"))
            self._after_reload()
        if role.kind == "once":
            self._exit_code = code if code >= 0 else 128 - code
            if self._reporter.phase != "stopping":
                self._begin_stop(seconds=None)

    def child_said(self, child: Child, message: Message) -> None:
        """The metrics server asks."""
        if message.get("report") == "asks" and message.get("what") == "status":
            number = message.get("id")
            self._reporter.gather(
                lambda result: child.lifeline.send(
                    {"order": "told", "id": number, "result": result}
                )
            )

    def stranger_gone(self, pid: int, code: int) -> None:
        """The log writer's end is the log service's business; its successor tells of it."""
        if self._logs.owns(pid) and self._logs.reaped(pid):
            log.warning("worker.exited", worker="log", kind="log", worker_pid=pid, **_ending(code))
            exits = self._record.worker_exits
            exits["log"] = exits.get("log", 0) + 1

    def release_in_child(self, role: Role) -> None:
        """In a child: close what isn't its own."""
        assert self._signals is not None
        self._signals.forget()
        self._selector.close()
        self._control.forget()
        self._systemd.close()
        for sock in self._sockets.everything():
            if sock not in role.keeps:
                sock.close()
        crew = self._service.crew_of(role)
        for preparation in (self._first, self._reloading.preparation):
            if crew is None and preparation is not None:
                crew = preparation.crew_of(role)
        self._stores.keep_in_child(crew.trade.store.directory if crew is not None else "")

    def leave_in_child(self) -> None:
        """In a child that ends: its last words go out."""
        self._logs.flush(1.0)

    def _command(self, request: Message, reply: Reply) -> None:
        command = str(request.get("command", ""))
        match command:
            case "status":
                self._reporter.gather(lambda result: reply({"ok": True, "result": result}))
            case "reload":
                self._begin_reload([reply])
            case "plan":
                reply(self._reloading.dry_run())
            case "stop":
                self._stop_waits.append(reply)
                now = bool(request.get("now"))
                self._begin_stop(seconds=0.0 if now else self._service.settings.drain_timeout)
            case "reopen":
                self._logs.reopen()
                reply({"ok": True, "result": {}})
            case "snapshot":
                self._reporter.log_snapshot()
                reply({"ok": True, "result": {}})
            case "flush":
                self._relay("indexer", "flush", request, reply)
            case "jobs.list" if not self._service.settings.retrievals:
                reply({"ok": True, "result": {"jobs": []}})
            case _ if command.startswith("jobs."):
                self._relay("requestor", command, request, reply)
            case _:
                reply({"ok": False, "error": f"no command {command!r}"})

    def _relay(self, name: str, what: str, request: Message, reply: Reply) -> None:
        role = self._service.singletons.get(name)
        if role is None:
            missing = "no retrievals are configured" if name == "requestor" else "no index is kept"
            reply({"ok": False, "error": missing})
            return
        if role.child is None or role.child.state == "starting":
            reply({"ok": False, "error": f"the {name} is just starting; try again in a moment"})
            return

        def answered(answer: Message | None) -> None:
            if answer is None:
                reply({"ok": False, "error": f"the {name} did not answer"})
            elif answer.get("error"):
                reply({"ok": False, "error": answer["error"]})
            else:
                reply({"ok": True, "result": answer.get("result")})

        arguments = request.get("arguments")
        self._children.ask(role.child, what, answered, arguments=arguments, seconds=_JOBS_S)


def _ending(code: int) -> dict[str, Any]:
    if code >= 0:
        return {"exit_code": code}
    try:
        return {"signal": signal.Signals(-code).name}
    except ValueError:
        return {"signal": str(-code)}


def _words(code: int) -> str:
    ending = _ending(code)
    return ending.get("signal") or f"exit code {code}"
