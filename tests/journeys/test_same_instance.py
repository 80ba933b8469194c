"""Many senders, two workers, one SOP instance: whatever lies there is one version, whole."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.journeys.peers import Sender, explicit, small_data_set, store_rq
from tests.journeys.running import running

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("same_instance")]

UID = "1.2.3.4"
SENDERS = 6
TIMES = 8


def version(number: int) -> bytes:
    """A content that tells by every byte which one it is."""
    return small_data_set(UID) + explicit(0x7FE10010, "OB", b"%04d" % number * 6000)


def send(port: int, sender_number: int) -> list[str]:
    answers = []
    with Sender(port) as sender:
        assert sender.associate().startswith("accepted")
        for time in range(TIMES):
            data = version(sender_number * TIMES + time)
            answers.append(sender.store(store_rq(UID), data, fragment=4000))
        assert sender.release() == "released"
    return answers


@pytest.mark.parametrize("policy", ["overwrite", "keep-first", "keep-both"])
def test_what_is_kept_is_whole(tmp_path: Path, policy: str) -> None:
    objects = tmp_path / "objects"
    store = {"directory": str(objects), "min_free_space": 0, "duplicates": policy}
    with running(tmp_path, stores={"archive": store}) as daemon:
        port = daemon.port()
        with ThreadPoolExecutor(SENDERS) as pool:
            answers = list(pool.map(lambda number: send(port, number), range(SENDERS)))
        again = send(port, 0)
    flat = [answer for one in answers for answer in one]
    contents = {path.name: path.read_bytes() for path in objects.iterdir() if path.name[0] != "."}
    versions = {
        name: [n for n in range(SENDERS * TIMES) if content.endswith(version(n))]
        for name, content in contents.items()
    }
    assert all(len(found) == 1 for found in versions.values()), "each file is one version, whole"
    kept = {found[0] for found in versions.values()}
    if policy == "overwrite":
        assert flat == ["0000"] * SENDERS * TIMES
        assert list(versions.values()) == [[TIMES - 1]], "the last one sent"
    elif policy == "keep-first":
        assert flat.count("0000") == 1
        assert len(kept) == 1
        assert {answer[0] for answer in flat if answer != "0000"} <= {"A", "C"}
    else:
        assert flat == ["0000"] * SENDERS * TIMES
        assert kept == set(range(SENDERS * TIMES)), "every version, and none twice"
        assert len(contents) == SENDERS * TIMES
        assert again == ["0000"] * TIMES
