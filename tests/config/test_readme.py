"""What the README tells people to write loads as it stands there."""

import re
from pathlib import Path

import pytest
from tests.config.profiles.shipped import SHIPPED

from dicomd.config.load import load_with_warnings
from dicomd.config.profiles.load import load_profile

README = Path(__file__).parents[2] / "README.md"


def blocks(chapter: str) -> list[str]:
    """The YAML of a chapter."""
    text = README.read_text().split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


def test_the_first_real_use_loads_without_a_doubt(tmp_path: Path) -> None:
    profile, configuration = blocks("A first real use")
    (tmp_path / "objects").mkdir()
    (tmp_path / "site.yaml").write_text(profile)
    (tmp_path / "dicomd.yaml").write_text(configuration)
    loaded = load_with_warnings(str(tmp_path / "dicomd.yaml"))
    assert loaded.warnings == ()
    negotiation = loaded.settings.listeners["scanner"].negotiation
    assert negotiation is not None
    assert len(negotiation.contexts) == 4


def test_the_smallest_configuration_loads(tmp_path: Path) -> None:
    smallest = blocks("Configuration")[0].replace("/var/lib/dicomd", str(tmp_path))
    (tmp_path / "dicomd.yaml").write_text(smallest)
    settings = load_with_warnings(str(tmp_path / "dicomd.yaml")).settings
    assert settings.listeners["modalities"].store == "archive"


@pytest.mark.parametrize("name", ["Site", "SiteWithoutMR", "Everything"])
def test_the_yaml_form_of_profiles_loads(tmp_path: Path, name: str) -> None:
    (form,) = (block for block in blocks("Association profiles") if "extended_negotiation" in block)
    (tmp_path / "storescp.cfg").write_bytes((SHIPPED / "storescp.cfg").read_bytes())
    (tmp_path / "site.yaml").write_text(form)
    assert load_profile(str(tmp_path / "site.yaml"), name).contexts


def test_retrievals_load(tmp_path: Path) -> None:
    smallest = blocks("Configuration")[0].replace("/var/lib/dicomd", str(tmp_path))
    (tmp_path / "dicomd.yaml").write_text(smallest + blocks("Scheduled retrievals")[0])
    assert list(load_with_warnings(str(tmp_path / "dicomd.yaml")).settings.retrievals)
