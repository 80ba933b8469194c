"""A reload from the order to its end: read, prepare, wait for the new workers, swap or refuse.

Only one runs at a time; an order that comes meanwhile is carried out after it. Whatever fails, the
old service goes on untouched, and everybody who asked is told why.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from dicomd.errors import ConfigError, DicomdError, Fault, StartError
from dicomd.lifeline import Message
from dicomd.logs.configure import LogService, PreparedLogs, prepare
from dicomd.settings.daemon import DaemonSettings
from dicomd.supervisor.control import Control, Reply, bind_control_socket
from dicomd.supervisor.reload import ReloadPlan, plan
from dicomd.supervisor.service import Preparation, Service
from dicomd.supervisor.status import LastReload, Record
from dicomd.supervisor.stores import private_directories

log = structlog.get_logger("dicomd.supervisor")


class Reloading:
    """The reload under way, if any. Mutable."""

    def __init__(
        self,
        load: Callable[[], DaemonSettings],
        *,
        service: Service,
        logs: LogService,
        control: Control,
        record: Record,
    ) -> None:
        self._load = load
        self._service = service
        self._logs = logs
        self._control = control
        self._record = record
        self._waits: list[Reply] = []
        self._began = 0.0
        self._new_control: socket.socket | None = None
        """Bound already; callers are heard there as soon as the settings are in force."""
        self.preparation: Preparation | None = None
        self.again: list[Reply] | None = None
        """Orders that came meanwhile; None: there was none."""

    def begin(self, waits: Sequence[Reply]) -> bool:
        """Read and prepare. True: new workers are being born; False: it was refused already."""
        self._began = time.monotonic()
        self._waits = list(waits)
        try:
            self.preparation = self._prepare(self._load())
        except DicomdError as error:
            self.reject(faults_of(error))
            return False
        except Exception as error:  # nothing that a reload meets may end the service
            log.exception("reload.failed")
            self.reject((Fault("", 0, 0, f"a fault of ours: {type(error).__name__}"),))
            return False
        self._service.bear(self.preparation)
        return True

    def dry_run(self) -> Message:
        """What a reload would do now."""
        try:
            planned = plan(self._service.settings, self._load())
        except DicomdError as error:
            return {
                "ok": False,
                "error": "the configuration would be refused",
                "faults": [str(fault) for fault in faults_of(error)],
            }
        except Exception as error:  # as in begin
            log.exception("reload.failed")
            return {"ok": False, "error": f"a fault of ours: {type(error).__name__}"}
        return {"ok": True, "result": planned.as_dict()}

    def ended(self, planned: ReloadPlan) -> None:
        """The new settings are in force."""
        preparation, self.preparation = self.preparation, None
        if preparation is not None:
            for warning in preparation.settings.warnings:
                log.warning("config.warned", reason=warning)
            if planned.control:
                self._move_control(preparation.settings.control_socket)
        seconds = time.monotonic() - self._began
        result = "applied" if planned.changes or planned.replaced else "unchanged"
        described = planned.as_dict()
        self._note(
            LastReload(result=result, at=time.time(), seconds=seconds, changes=described["changes"])
        )
        log.info(
            "config.reloaded",
            changes=[str(change) for change in planned.changes],
            replaced=list(planned.replaced),
            opened=list(planned.opened),
            closed=list(planned.closed),
            seconds=round(seconds, 4),
        )
        self._answer({"ok": True, "result": {"result": result, **described}})

    def failed(self, fault: Fault) -> None:
        """A new worker could not be born: undo everything."""
        preparation, self.preparation = self.preparation, None
        if preparation is None:
            return
        self._service.abandon(preparation)
        self._abandon_control(preparation.settings.control_socket)
        if _logs_differ(preparation.settings, self._service.settings):
            self._restore_logs()
        self.reject((fault,))

    def reject(self, faults: tuple[Fault, ...]) -> None:
        """Say why; the old service goes on untouched."""
        for fault in faults:
            log.error(
                "config.rejected",
                file=fault.file,
                line=fault.line,
                column=fault.column,
                reason=fault.text,
            )
        seconds = time.monotonic() - self._began
        self._note(LastReload(result="rejected", at=time.time(), seconds=seconds, faults=faults))
        self._answer(
            {
                "ok": False,
                "error": "the configuration was refused; the old one stays in force",
                "faults": [str(fault) for fault in faults],
            }
        )

    def stop(self) -> None:
        """The daemon stops: nobody waits for a reload any more."""
        preparation, self.preparation = self.preparation, None
        if preparation is not None:
            self._service.abandon(preparation)
            self._abandon_control(preparation.settings.control_socket)
        self._waits += self.again or []
        self.again = None
        self._answer({"ok": False, "error": "the daemon is stopping"})

    def _prepare(self, settings: DaemonSettings) -> Preparation:
        service = self._service
        # Whether it may be reloaded at all is asked before anything is opened.
        before = plan(service.settings, settings)
        prepared: PreparedLogs | None = None
        if _logs_differ(settings, service.settings):
            # Workers of before go on for a while, and speak of the folders of before.
            prepared = prepare_logs(settings, before=service.settings)
        try:
            if before.control and settings.control_socket:
                self._new_control = bind_control_socket(settings.control_socket)
            preparation = service.prepare(settings, service.open_sockets(settings))
        except BaseException:
            if prepared is not None:
                prepared.close()
            self._abandon_control(settings.control_socket)
            raise
        if prepared is not None:
            # New workers are born with the levels that are in force at their birth.
            self._logs.swap(prepared)
        else:
            self._logs.reopen()
        return preparation

    def _move_control(self, path: str) -> None:
        """The control socket of the new settings takes the place of the one before."""
        sock, self._new_control = self._new_control, None
        if sock is not None:
            self._control.open(sock, path)
        else:
            self._control.stop_listening()

    def _abandon_control(self, path: str) -> None:
        sock, self._new_control = self._new_control, None
        if sock is not None:
            sock.close()
            with suppress(OSError):
                os.unlink(path)

    def _restore_logs(self) -> None:
        try:
            self._logs.swap(prepare_logs(self._service.settings))
        except DicomdError:
            log.exception("worker.failed", worker="log", kind="log")

    def _note(self, reload: LastReload) -> None:
        self._record.last_reload = reload
        reloads = self._record.reloads
        reloads[reload.result] = reloads.get(reload.result, 0) + 1

    def _answer(self, message: dict[str, Any]) -> None:
        waits, self._waits = self._waits, []
        for wait in waits:
            wait(message)


def prepare_logs(settings: DaemonSettings, *, before: DaemonSettings | None = None) -> PreparedLogs:
    """Open the outputs of the log; ConfigError names those that cannot be opened. What the log must
    not show under the settings ``before`` is not shown either."""
    private = private_directories(settings)
    if before is not None:
        private = tuple(dict.fromkeys((*private, *private_directories(before))))
    return prepare(settings.logging, state_directory=settings.state_directory, private=private)


def _logs_differ(new: DaemonSettings, old: DaemonSettings) -> bool:
    """Whether the log has to be set up anew: for its own settings, or because file names of a
    store have come to hold, or hold no longer, what the log must not show."""
    return new.logging != old.logging or private_directories(new) != private_directories(old)


def faults_of(error: DicomdError) -> tuple[Fault, ...]:
    """The faults that an error stands for, one for those that carry none."""
    if isinstance(error, ConfigError):
        return error.faults
    if isinstance(error, StartError):
        return (Fault("", 0, 0, str(error)),)
    return (Fault("", 0, 0, f"{type(error).__name__}: {error}"),)
