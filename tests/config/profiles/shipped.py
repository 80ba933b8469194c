"""Which files of ``profiles/`` hold association profiles; others configure the daemon or logs."""

from pathlib import Path

from dicomd.config.profiles.load import is_yaml

SHIPPED = Path(__file__).parents[3] / "profiles"


def holds_profiles(path: Path) -> bool:
    """By content: a file of the YAML form, or an asconfig file."""
    text = path.read_text()
    return is_yaml(text) or "[[PresentationContexts]]" in text


SHIPPED_PROFILES = [path for path in sorted(SHIPPED.glob("*")) if holds_profiles(path)]
