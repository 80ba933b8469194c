"""/metrics, /healthz, /readyz from a status."""

from typing import Any

import pytest

from dicomd.supervisor.metrics import answer
from dicomd.supervisor.room import room_of

STATUS: dict[str, Any] = {
    "version": "1.2.3",
    "healthy": True,
    "ready": True,
    "started_unix": 1000.0,
    "listeners": {
        "one": {
            "associations": 2,
            "connections": 3,
            "counters": {
                "objects": 10,
                "bytes": 5000,
                "associations": 4,
                "rejected": 1,
                "aborted": 1,
                "statuses": {"0000": 12, "A700": 2},
            },
        }
    },
    "workers": [
        {"role": "acceptor", "state": "running"},
        {"role": "acceptor", "state": "draining"},
        {"role": "acceptor", "state": "running"},
    ],
    "worker_exits": {"acceptor": 1},
    "stores": {"archive": {"directory": "/", "min_free_bytes": 7}},
    "reload": {"result": "rejected", "time_unix": 2000.0},
    "reloads": {"rejected": 1, "applied": 4},
    "log": {"dropped": 5},
    "index": {"backlog": 6},
}


def metrics() -> list[str]:
    code, content_type, body = answer("/metrics", "", STATUS)
    assert code == 200
    assert content_type.startswith("text/plain")
    return body.decode().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        'dicomd_info{version="1.2.3"} 1.0',
        "dicomd_up 1.0",
        "dicomd_start_time_seconds 1000.0",
        'dicomd_associations{listener="one"} 2.0',
        'dicomd_connections{listener="one"} 3.0',
        'dicomd_associations_accepted_total{listener="one"} 4.0',
        'dicomd_associations_rejected_total{listener="one"} 1.0',
        'dicomd_associations_aborted_total{listener="one"} 1.0',
        'dicomd_objects_total{listener="one",status="0000"} 10.0',
        'dicomd_objects_total{listener="one",status="A700"} 2.0',
        'dicomd_received_bytes_total{listener="one"} 5000.0',
        'dicomd_processes{role="acceptor",state="draining"} 1.0',
        'dicomd_processes{role="acceptor",state="running"} 2.0',
        'dicomd_worker_exits_total{role="acceptor"} 1.0',
        'dicomd_store_min_free_bytes{store="archive"} 7.0',
        'dicomd_reloads_total{result="applied"} 4.0',
        "dicomd_last_reload_successful 0.0",
        "dicomd_last_reload_time_seconds 2000.0",
        "dicomd_log_dropped_total 5.0",
        "dicomd_index_backlog 6.0",
    ],
)
def test_metric(line: str) -> None:
    assert line in metrics()


def test_every_metric_has_a_help_line() -> None:
    lines = metrics()
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    helped = {line.split(" ")[2] for line in lines if line.startswith("# HELP")}
    assert names <= helped


def test_no_two_families_share_a_name_in_either_format() -> None:
    for accept in ("", "application/openmetrics-text; version=1.0.0"):
        _, _, body = answer("/metrics", accept, STATUS)
        lines = body.decode().splitlines()
        names = [line.split(" ")[2] for line in lines if line.startswith("# TYPE")]
        assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("path", "key", "good"), [("/healthz", "healthy", "ok\n"), ("/readyz", "ready", "ready\n")]
)
def test_health_and_readiness(path: str, key: str, good: str) -> None:
    code, _, body = answer(path, "", STATUS)
    assert (code, body.decode()) == (200, good)
    assert answer(path, "", {**STATUS, key: False})[0] == 503
    assert answer(path, "", None)[0] == 503
    assert answer(f"{path}?verbose", "", STATUS)[0] == 200


def test_a_supervisor_that_does_not_answer_is_an_error() -> None:
    assert answer("/metrics", "", None)[0] == 503


def test_other_paths_are_not_found() -> None:
    assert answer("/", "", STATUS)[0] == 404


def test_room_of_a_folder_that_is_gone() -> None:
    assert room_of("/nowhere/at/all") is None
    assert room_of("") is None
    free, size = room_of("/") or (0, 0)
    assert 0 < free <= size
