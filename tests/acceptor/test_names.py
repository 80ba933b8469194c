"""Names of peers, for the log."""

from collections.abc import Callable

from dicomd.acceptor.names import PeerNames, reverse_name


class Later:
    """Work that waits until the test lets it go."""

    def __init__(self) -> None:
        self.steps: list[tuple[Callable[[], None], Callable[[], None]]] = []

    def submit(self, work: Callable[[], None], afterwards: Callable[[], None]) -> None:
        self.steps.append((work, afterwards))

    def go(self) -> None:
        for work, afterwards in self.steps:
            work()
            afterwards()
        self.steps.clear()


def test_a_name_is_looked_up_once_and_never_waited_for() -> None:
    later, now, asked = Later(), [0.0], list[str]()

    def look_up(host: str) -> str:
        asked.append(host)
        return "ct.example"

    names = PeerNames(later, clock=lambda: now[0] + 1.0, look_up=look_up)
    assert names.name_of("192.0.2.1") == ""
    assert names.name_of("192.0.2.1") == ""
    later.go()
    assert names.name_of("192.0.2.1") == "ct.example"
    assert asked == ["192.0.2.1"]
    now[0] = 1000.0
    assert names.name_of("192.0.2.1") == "ct.example"
    later.go()
    assert asked == ["192.0.2.1", "192.0.2.1"]


def test_an_address_without_a_name_has_none() -> None:
    assert reverse_name("192.0.2.1") == ""


def test_what_is_known_is_bounded() -> None:
    later = Later()
    names = PeerNames(later, clock=lambda: 1.0, look_up=lambda host: host)
    for number in range(5000):
        names.name_of(f"host-{number}")
        later.go()
    assert len(names._known) <= 4096
