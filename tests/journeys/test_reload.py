"""SIGHUP and `dicomd reload`: nothing is refused or dropped, and a broken file changes nothing."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest
from tests.journeys.peers import Sender, asconfig, small_data_set, store_rq
from tests.journeys.running import Daemon, descendants, free_port, refuses, running, wait_until
from tests.soak_reload import footprint, reload_under_load
from tests.upper_layer.wire import CT, EXPLICIT

pytestmark = pytest.mark.journey


def test_broken_file_is_refused_with_place_and_reason_and_nothing_changes(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        workers = daemon.workers()
        daemon.tree["listeners"]["one"]["max_pd"] = 16384
        daemon.write()
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: daemon.events("config.rejected"), "the refusal")
        fault = daemon.events("config.rejected")[0]
        assert fault["file"] == str(daemon.config)
        line = daemon.config.read_text().splitlines()[fault["line"] - 1]
        assert "max_pd" in line
        assert "max_pdu" in fault["reason"]
        assert daemon.workers() == workers
        last = daemon.status()["reload"]
        assert last["result"] == "rejected"
        assert last["faults"][0]["line"] == fault["line"]
        association = daemon.call()
        assert association.store(1) == 0
        association.release()


def test_reload_command_fails_when_the_reload_was_refused(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert daemon.run("reload").returncode == 0
        daemon.tree["listeners"]["one"]["timeouts"] = {"acse": "soon"}
        daemon.write()
        refused = daemon.run("reload")
        assert refused.returncode == 1
        assert f"{daemon.config}:" in refused.stderr


def test_new_associations_meet_new_settings_and_running_ones_the_old(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        old = daemon.call()
        assert old.max_pdu == 131072
        rest = old.begin(1)
        daemon.tree["listeners"]["one"]["max_pdu"] = 16384
        daemon.write()
        began = time.monotonic()
        daemon.signal(signal.SIGHUP)
        while True:
            new = daemon.call()
            new.release()
            if new.max_pdu == 16384:
                break
        assert time.monotonic() - began < 2
        old.sock.sendall(rest)
        assert old.status() == 0
        assert old.store(2) == 0
        assert old.release()[:1] == b"\x06"
        wait_until(lambda: not daemon.workers(state="draining"), "the old generation's end")
        reloaded = daemon.events("config.reloaded")[-1]
        assert reloaded["changes"] == ["listeners.one.max_pdu: 131072 -> 16384"]


def test_untouched_listener_keeps_its_workers(tmp_path: Path) -> None:
    one = {"address": "127.0.0.1", "port": 0, "workers": 1}
    with running(tmp_path, listeners={"one": one, "two": dict(one)}) as daemon:
        before = {item["name"]: item["pid"] for item in daemon.status()["workers"]}
        daemon.tree["listeners"]["two"]["max_pdu"] = 16384
        daemon.write()
        assert daemon.ask("reload")["ok"]
        wait_until(lambda: not daemon.workers(state="draining"), "the old generation's end")
        after = {item["name"]: item["pid"] for item in daemon.status()["workers"]}
        assert after["one"] == before["one"]
        assert after["two"] != before["two"]
        assert after["indexer"] == before["indexer"]


def test_listeners_are_opened_and_closed_as_the_file_says(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        first = daemon.port()
        port = free_port()
        daemon.tree["listeners"] = {"two": {"address": "127.0.0.1", "port": port, "workers": 1}}
        daemon.write()
        answer = daemon.ask("reload")
        assert answer["result"]["listeners"]["opened"] == ["two"]
        assert answer["result"]["listeners"]["closed"] == ["one"]
        association = daemon.call(port)
        assert association.store(1) == 0
        association.release()
        wait_until(lambda: refuses(first), "callers to be refused")
        assert daemon.events("listener.closed")[0]["listener"] == "one"


def test_closed_listener_refuses_callers_while_an_association_runs_on(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        first = daemon.port()
        old = daemon.call(first)
        two = {"address": "127.0.0.1", "port": free_port(), "workers": 1}
        daemon.tree["listeners"] = {"two": two}
        daemon.write()
        assert daemon.ask("reload")["ok"]
        wait_until(lambda: refuses(first), "callers to be refused")
        assert old.store(1) == 0
        assert old.release()[:1] == b"\x06"


def test_port_that_cannot_be_had_refuses_the_reload(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, socket.create_server(("127.0.0.1", 0)) as taken:
        workers = daemon.workers()
        port = taken.getsockname()[1]
        daemon.tree["listeners"]["two"] = {"address": "127.0.0.1", "port": port}
        daemon.tree["listeners"]["one"]["max_pdu"] = 16384
        daemon.write()
        answer = daemon.ask("reload")
        assert not answer["ok"]
        assert f"port {port}" in answer["faults"][0]
        assert daemon.workers() == workers
        association = daemon.call()
        assert association.max_pdu == 131072
        association.release()


def test_worker_that_cannot_be_born_refuses_the_reload(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        workers = daemon.workers()
        broken = tmp_path / "broken.pem"
        broken.write_text("-----BEGIN CERTIFICATE-----\nbm90\n-----END CERTIFICATE-----\n")
        daemon.tree["listeners"]["one"]["tls"] = {
            "certificate": str(broken),
            "key": str(broken),
            "client_certificate": "none",
        }
        daemon.write()
        other = tmp_path / "other.sock"
        daemon.tree["control_socket"] = str(other)
        daemon.write()
        assert not daemon.ask("reload")["ok"]
        assert not other.exists()
        assert daemon.workers() == workers
        wait_until(lambda: len(daemon.status()["workers"]) == len(workers) + 1, "the others' end")
        association = daemon.call()
        assert association.store(1) == 0
        association.release()


def test_state_directory_needs_a_restart(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        daemon.tree["state_directory"] = str(tmp_path / "other")
        daemon.write()
        answer = daemon.ask("reload")
        assert not answer["ok"]
        assert "restart" in answer["faults"][0]


def test_dry_run_says_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        workers = daemon.workers()
        daemon.tree["listeners"]["one"]["access"] = {"calling_ae_titles": ["CT1"]}
        daemon.write()
        told = daemon.run("reload", "--dry-run")
        assert told.returncode == 0
        assert "only calling AE titles CT1" in told.stdout
        assert daemon.workers() == workers
        assert not daemon.events("config.reloaded")


def test_control_socket_moves_with_a_reload(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        other = tmp_path / "other.sock"
        daemon.tree["control_socket"] = str(other)
        daemon.write()
        assert daemon.ask("reload")["ok"], "who asked at the old one is answered"
        assert not daemon.socket.exists()
        daemon.socket = other
        assert daemon.status()["reload"]["result"] == "applied"


def test_log_settings_change_with_a_reload(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        other = tmp_path / "other.log"
        daemon.tree["logging"] = {"file": {"path": str(other)}, "level": "info"}
        daemon.write()
        assert daemon.ask("reload")["ok"]
        wait_until(lambda: other.exists() and "config.reloaded" in other.read_text(), "the line")
        association = daemon.call()
        assert association.store(1) == 0
        association.release()
        wait_until(lambda: "object.stored" in other.read_text(), "the object's line")


def test_a_new_level_counts_in_the_workers_of_the_new_generation(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert _requests_told(daemon, {}) == 0
        assert _requests_told(daemon, {"dicomd.acceptor": "debug"}) == 1
        assert _requests_told(daemon, {}) == 0


def test_warnings_are_logged_by_a_reload_too(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        assert not daemon.events("config.warned")
        profile = asconfig(tmp_path / "doubtful.cfg", [(CT, (EXPLICIT,))])
        profile.write_text(f"{profile.read_text()}Surprise = 1\n")
        line = len(profile.read_text().splitlines())
        daemon.tree["listeners"]["one"]["profile"] = {"file": str(profile), "name": "Test"}
        daemon.write()
        assert daemon.ask("reload")["ok"]
        wait_until(lambda: daemon.events("config.warned"), "the warning")
        assert f"{profile}:{line}" in daemon.events("config.warned")[0]["reason"]


def test_names_that_come_to_hold_patient_values_are_hidden_from_then_on(tmp_path: Path) -> None:
    """A reload changes nothing but a store's template; the log follows."""
    with running(tmp_path) as daemon:
        daemon.tree["stores"]["archive"]["subdirectories"] = "{PatientName}"
        daemon.write()
        assert daemon.ask("reload")["ok"]
        with Sender(daemon.port()) as sender:
            sender.associate()
            assert sender.store(store_rq("1.2.3"), small_data_set("1.2.3")) == "0000"
            sender.release()
        assert list(daemon.objects.glob("NOBODY/CT.*"))
        wait_until(lambda: daemon.events("association.released"), "the lines")
        assert daemon.events("object.stored")
        assert "NOBODY" not in daemon.log.read_text()


def test_order_during_a_reload_is_carried_out_after_it(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        daemon.tree["listeners"]["one"]["max_pdu"] = 16384
        daemon.write()
        for _ in range(3):
            daemon.signal(signal.SIGHUP)
        wait_until(lambda: daemon.events("config.reloaded"), "the reload")
        assert daemon.ask("reload")["ok"]
        assert daemon.status()["listeners"]["one"]["workers"] == 2


def test_reloads_under_load_cost_no_object_and_leave_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path) as daemon:
        before = footprint(daemon)
        sums = reload_under_load(daemon, reloads=20, seconds=6)
        assert sums["faults"] == []
        assert sums["objects"] > 100
        wait_until(lambda: len(descendants(daemon.pid)) <= before.processes, "the old workers' end")
        wait_until(
            lambda: footprint(daemon).descriptors <= before.descriptors, "the old descriptors' end"
        )
        after = footprint(daemon)
        assert after.rss_kib < before.rss_kib + 4096
        counted = daemon.status()["listeners"]["one"]["counters"]["objects"]
        assert counted == sums["objects"]


def test_sighup_to_first_association_under_new_settings_is_fast(tmp_path: Path) -> None:
    """Under half a second is the promise; the bound here leaves room for a busy machine."""
    with running(tmp_path) as daemon:
        port = daemon.port()
        times = []
        for size in (16384, 32768, 65536):
            daemon.tree["listeners"]["one"]["max_pdu"] = size
            daemon.write()
            began = time.monotonic()
            os.kill(daemon.pid, signal.SIGHUP)
            while True:
                association = daemon.call(port)
                association.release()
                if association.max_pdu == size:
                    break
            times.append(time.monotonic() - began)
        assert min(times) < 0.5, times


def test_listener_moves_to_an_address_that_overlaps(tmp_path: Path) -> None:
    """The first edit that many make: from loopback to every address, at the same port."""
    port = free_port()
    listeners = {"one": {"address": "127.0.0.1", "port": port, "workers": 2}}
    with running(tmp_path, listeners=listeners) as daemon:
        old = daemon.call(port)
        for address in ("0.0.0.0", "", "127.0.0.1"):
            daemon.tree["listeners"]["one"]["address"] = address
            daemon.write()
            answer = daemon.ask("reload")
            assert answer["ok"], answer
            new = daemon.call(port)
            assert new.store(1) == 0
            new.release()
        assert old.store(2) == 0
        assert old.release()[:1] == b"\x06"


def _requests_told(daemon: Daemon, levels: dict[str, str]) -> int:
    """How many debug lines one association has after a reload with these levels."""
    requests = len(daemon.events("association.requested"))
    releases = len(daemon.events("association.released"))
    daemon.tree["logging"] |= {"level": "info", "levels": levels}
    daemon.write()
    assert daemon.ask("reload")["ok"]
    daemon.call().release()
    wait_until(lambda: len(daemon.events("association.released")) > releases, "the closing line")
    return len(daemon.events("association.requested")) - requests
