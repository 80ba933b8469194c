"""Retrievals over TLS, under the other models, without a verdict, from an archive that dies."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme
from tests.requestor.archive import Archive, Manners, make_instances
from tests.requestor.daemon import Daemon, free_port, remote, retrieval, wait_until
from tests.requestor.real_archives import mortal_dcmqrscp

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("retrieval")]


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for sock in (source, sink):
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)


def _couple(outer: socket.socket, port: int) -> None:
    with outer, socket.create_connection(("127.0.0.1", port)) as inner:
        back = threading.Thread(target=_pump, args=(inner, outer))
        back.start()
        _pump(outer, inner)
        back.join()


@contextmanager
def tls_door(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """A port that speaks TLS, before one that does not."""
    server = socket.create_server(("127.0.0.1", 0))
    couples: list[threading.Thread] = []

    def serve() -> None:
        while True:
            try:
                plain, _ = server.accept()
            except OSError:
                return
            try:
                outer = context.wrap_socket(plain, server_side=True)
            except OSError:
                plain.close()
                continue
            couple = threading.Thread(target=_couple, args=(outer, port))
            couple.start()
            couples.append(couple)

    door = threading.Thread(target=serve)
    door.start()
    try:
        yield server.getsockname()[1]
    finally:
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()
        for thread in (door, *couples):
            thread.join()


def test_a_remote_behind_tls_wants_and_shows_a_certificate(tmp_path: Path) -> None:
    """One retrieval that trusts the archive, one that trusts another authority, one that shows
    no certificate of its own."""
    authority, stranger = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.issue_cert("pacs.example.org").configure_cert(context)
    ours = authority.issue_cert("dicomd.example.org")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    ours.private_key_pem.write_to_path(key)
    for part in ours.cert_chain_pems:
        part.write_to_path(chain, append=True)
    authorities = tmp_path / "authorities.pem"
    authority.cert_pem.write_to_path(authorities)
    others = tmp_path / "others.pem"
    stranger.cert_pem.write_to_path(others)
    shown = {"certificate": str(chain), "key": str(key)}
    instances = make_instances(2)
    once = {"attempts": 1}
    with Archive(instances) as archive, tls_door(archive.port, context) as door:
        daemon = Daemon(
            tmp_path / "daemon",
            remotes={
                "PACS": remote(door, tls={**shown, "ca": str(authorities)}),
                "MISTAKEN": remote(door, tls={**shown, "ca": str(others)}),
                "NAMELESS": remote(door, tls={"ca": str(authorities)}, acse_timeout="3s"),
            },
            retrievals={
                "good": retrieval(),
                "mistaken": retrieval(remote="MISTAKEN", retry=once),
                "nameless": retrieval(remote="NAMELESS", retry=once),
            },
        )
        archive.destinations["DEST"] = daemon.port
        with daemon:
            for name in daemon.settings["retrievals"]:
                daemon.ask("jobs.run", name=name)
            assert daemon.finished("good")["run"]["state"] == "verified"
            mistaken = daemon.finished("mistaken")["run"]
            assert mistaken["state"] == "failed"
            assert "TLS" in mistaken["reason"]
            assert daemon.finished("nameless")["run"]["state"] == "failed"
            assert len(archive.moves()) == 2


def test_other_models_and_no_verdict(tmp_path: Path) -> None:
    """Patient root by patient and by study, patient/study only, and ``verify: none``."""
    instances = [
        *make_instances(2, 2, 2, patient="P1"),
        *make_instances(1, 1, 2, patient="P2"),
    ]
    jobs = {
        "patients": retrieval(model="patient", find={"level": "PATIENT"}),
        "studies": retrieval(model="patient", find={"level": "STUDY", "keys": {"PatientID": "P1"}}),
        "old": retrieval(model="patient-study-only", verify="counts", find={"level": "STUDY"}),
        "trusting": retrieval(verify="none"),
    }
    archives = {name: Archive(instances) for name in jobs}
    for name, job in jobs.items():
        job["remote"] = name
        archives[name].__enter__()
    daemon = Daemon(
        tmp_path,
        remotes={name: remote(archive.port) for name, archive in archives.items()},
        retrievals=jobs,
    )
    try:
        with daemon:
            for name, archive in archives.items():
                archive.destinations["DEST"] = daemon.port
                daemon.ask("jobs.run", name=name)
                state = daemon.finished(name)["run"]["state"]
                assert state == ("reported" if name == "trusting" else "verified"), name
                assert len(daemon.stored()) == (8 if name == "studies" else 10)
                for stored in daemon.stored():
                    os.unlink(daemon.objects / stored)
    finally:
        for archive in archives.values():
            archive.close()
    assert [one.level for one in archives["patients"].moves()] == ["PATIENT"] * 2
    by_study = archives["studies"].moves()
    assert [one.level for one in by_study] == ["STUDY"] * 2
    assert {str(one.identifier.PatientID) for one in by_study} == {"P1"}
    assert not any("PatientID" in one.identifier for one in archives["trusting"].moves())
    assert len(archives["trusting"].moves()) == 3


def test_an_archive_that_is_killed_in_a_run_is_waited_for(tmp_path: Path) -> None:
    instances = make_instances(30, 1, 4, size=200_000)
    port = free_port()
    with mortal_dcmqrscp(tmp_path / "archive", instances, {"DEST": port}) as archive:
        daemon = Daemon(
            tmp_path / "daemon",
            remotes={"PACS": remote(archive.port)},
            retrievals={
                "nightly": retrieval(
                    find={"level": "STUDY", "keys": {"PatientID": "P1"}},
                    retry={"attempts": 6, "first": "300ms", "most": "1s"},
                )
            },
            port=port,
        )
        with daemon:
            daemon.ask("jobs.run", name="nightly")
            wait_until(lambda: len(daemon.stored()) >= 8, "the run is under way")
            archive.kill()
            wait_until(lambda: daemon.events("job.retried"), "it is missed")
            done = {one["study"] for one in daemon.events("job.verified")}
            assert len(done) < 30
            archive.start()
            job = daemon.finished("nightly", 60)
            assert job["run"]["state"] == "verified"
            assert {f"CT.{one.uid}" for one in instances} == set(daemon.stored())
            again = [one["study"] for one in daemon.events("job.verified")]
            assert len(again) == len(set(again)) == 30


def test_the_next_study_is_asked_about_on_one_association_more(tmp_path: Path) -> None:
    """One C-MOVE at a time, its associations kept; and an archive that takes only one association
    is served as well."""
    instances = make_instances(8, 1, 3)
    with Archive(instances, manners=Manners(object_delay_s=0.03)) as archive:
        daemon = Daemon(
            tmp_path, remotes={"PACS": remote(archive.port)}, retrievals={"nightly": retrieval()}
        )
        archive.destinations["DEST"] = daemon.port
        with daemon:
            daemon.ask("jobs.run", name="nightly")
            assert daemon.finished("nightly")["run"]["state"] == "verified"
        assert archive.most_moves == 1
        assert archive.associations <= 2
