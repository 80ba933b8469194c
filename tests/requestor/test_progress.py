import io

from dicomd.requestor.messages import Response
from dicomd.requestor.progress import Bar, Dots, bar_line


def pending(remaining: int, completed: int, failed: int = 0) -> Response:
    return Response(
        0x8021, 1, 0xFF00, False, remaining=remaining, completed=completed, failed=failed, warning=0
    )


def test_dots_are_one_a_read_and_lines_one_an_object() -> None:
    out = io.StringIO()
    dots = Dots(out)
    dots.arrived(2, 0)
    dots.arrived(3, 1)
    dots.arrived(4, 1)
    dots.finish()
    assert out.getvalue() == "RECV: ...\nRECV: .\n"


def test_a_bar_is_as_full_as_what_is_there() -> None:
    assert bar_line(5, 10, 0, 1.0).startswith("[" + "#" * 15 + "." * 15 + "] 5/10 objects 5.0/s")
    assert "2 failed" in bar_line(5, 10, 2, 1.0)
    assert "0/?" in bar_line(0, 0, 0, 0.0)


def test_the_last_state_stays_on_the_terminal() -> None:
    out = io.StringIO()
    bar = Bar(out)
    bar.response(pending(2, 2))
    bar.arrived(9, 4)
    bar.finish()
    assert out.getvalue().rstrip().endswith("failed") is False
    assert "4/4 objects" in out.getvalue()
    assert out.getvalue().endswith("\n")
