"""``dicomd move`` as the receiver, beside movescu: what it accepts, and from whom."""

import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.journeys.test_move_drop_in import ENVIRONMENT, OURS, THEIRS, retrieve
from tests.requestor.archive import IMPLICIT, Manners, make_instances
from tests.requestor.daemon import free_port
from tests.requestor.real_archives import dcmqrscp

pytestmark = [pytest.mark.journey, pytest.mark.xdist_group("move")]

_ROOT = "1.2.840.10008.1.2"
_SUFFIXES = (
    *(".4.80", ".4.101", ".2", ".1.99", ".4.91", ".4.50", ".4.102", ".5", ".4.70", ".4.103"),
    *("", ".4.81", ".4.104", ".4.51", ".4.105", ".1", ".4.90", ".4.106", ".4.100", ".4.107"),
    ".4.108",
)
SYNTAXES = tuple(_ROOT + suffix for suffix in _SUFFIXES)
OFFERS = (
    SYNTAXES,
    SYNTAXES[::-1],
    *((syntax,) for syntax in SYNTAXES),
    *((syntax, IMPLICIT) for syntax in SYNTAXES),
)
PREFERENCES = (
    *("+x=", "+xe", "+xb", "+xi", "+xs", "+xy", "+xx", "+xv", "+xw", "+xt", "+xu", "+xm"),
    *("+xh", "+xn", "+xl", "+x2", "+x3", "+xo", "+x4", "+x5", "+xr", "+xd", "+xa"),
)


def test_every_preference_chooses_as_movescus_does() -> None:
    """Contexts with all transfer syntaxes in two orders, with each alone and each with the one
    that all must know: the answer to each context is the same."""
    instances = make_instances(1, 1, 1)

    def choose(option: str) -> list[dict[int, str]]:
        answers: list[dict[int, str]] = []
        for program in (OURS, THEIRS):
            with tempfile.TemporaryDirectory() as folder:
                _, _, archive = retrieve(
                    program, instances, Path(folder), option, manners=Manners(offers=OFFERS)
                )
            answers += archive.chosen
        return answers

    with ThreadPoolExecutor(4) as pool:
        chosen = dict(zip(PREFERENCES, pool.map(choose, PREFERENCES), strict=True))
    for option, answers in chosen.items():
        ours, theirs = answers
        assert ours == theirs, option
        assert 1 in ours, option
    assert len({tuple(sorted(answers[0].items())) for answers in chosen.values()}) == 22


_IN_A_WORLD_OF_ITS_OWN = """
mount --bind "$1/hosts.allow" /etc/hosts.allow && mount --bind "$1/hosts.deny" /etc/hosts.deny
shift
exec "$@"
"""


@pytest.mark.parametrize(
    ("allow", "deny", "option", "fetched"),
    [
        ("", "movescu: ALL\n", "+ac", False),
        ("", "movescu: 127.0.0.1\n", "+ac", False),
        ("movescu: 127.0.0.1\n", "ALL: ALL\n", "+ac", True),
        ("", "dicomd: ALL\n", "+ac", True),
        ("", "ALL: ALL\n", "-ac", True),
    ],
)
def test_access_files_are_obeyed_as_movescu_obeys_them(
    tmp_path: Path, allow: str, deny: str, option: str, fetched: bool
) -> None:
    """In a mount namespace, so that the machine's own files stay as they are."""
    (tmp_path / "hosts.allow").write_text(allow)
    (tmp_path / "hosts.deny").write_text(deny)
    instances = make_instances(1, 1, 2)
    port = free_port()
    codes, texts = [], []
    with dcmqrscp(tmp_path / "archive", instances, {"MOVESCU": port}) as archive:
        for program in (OURS, THEIRS):
            folder = tmp_path / str(len(codes))
            folder.mkdir()
            done = subprocess.run(
                [
                    *("unshare", "-m", "sh", "-c", _IN_A_WORLD_OF_ITS_OWN, "sh", str(tmp_path)),
                    *(*program, "-S", "-aec", "ARCHIVE", option, "+P", str(port)),
                    *("-od", str(folder), "-k", "0008,0052=STUDY"),
                    *("-k", f"0020,000d={instances[0].study}", "127.0.0.1", str(archive)),
                ],
                capture_output=True,
                text=True,
                timeout=60,
                env=ENVIRONMENT,
                check=False,
            )
            codes.append(done.returncode)
            texts.append(done.stderr)
            assert len(list(folder.iterdir())) == (2 if fetched else 0), done.stderr
    assert codes[0] == codes[1], texts
    denials = [[line for line in text.splitlines() if "TCP wrapper" in line] for text in texts]
    assert bool(denials[0]) == bool(denials[1]) == (not fetched)
