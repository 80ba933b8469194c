"""The manual pages know every key and every option."""

from pathlib import Path

import pytest

from dicomd.cli.recv import GRAMMAR
from dicomd.config.schema import json_schema

MAN = Path(__file__).parents[2] / "packaging" / "man"


def test_every_key_of_the_configuration_is_in_the_manual() -> None:
    page = (MAN / "dicomd.yaml.5").read_text()
    schema = json_schema()
    for definition in (schema, *schema["$defs"].values()):
        for key in definition["properties"]:
            assert f".It Ic {key} :" in page, key


@pytest.mark.parametrize("name", GRAMMAR.names)
def test_every_option_of_recv_is_in_the_manual(name: str) -> None:
    page = (MAN / "dicomd-recv.1").read_text()
    words = page.replace("\\-", "-").split()
    assert name in words
