"""The manual pages are sound: man(1) has nothing to say about them."""

import os
import subprocess
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[2] / "packaging" / "man").glob("*.[1-9]"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_formats_the_page_without_a_warning(page: Path) -> None:
    done = subprocess.run(
        ["groff", "-mandoc", "-Tutf8", "-ww", "-rLL=100n", str(page)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    assert done.stderr == ""
