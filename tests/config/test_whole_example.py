"""One configuration with every chapter in it loads, and each of its values is checked."""

import textwrap
from pathlib import Path

import pytest
import trustme
from tests.config.profiles.shipped import SHIPPED

from dicomd.config.load import load_with_warnings
from dicomd.errors import ConfigError

EXAMPLE = """
state_directory: /var/lib/dicomd
control_socket: /run/dicomd/control.sock

listeners:
  modalities:
    address: 0.0.0.0
    port: 11112
    ae_title: DICOMD
    respond_with_called_ae_title: false
    profile: {file: ETC/profiles/storescp.cfg, name: Default}
    store: archive
    workers: auto
    checks: strict
    max_pdu: 131072
    timeouts: {acse: 30s, dimse: 60s, artim: 30s, idle: 5m}
    limits: {associations: 256, associations_per_host: 64, object_size: unlimited}
    access:
      calling_ae_titles: [CT1, MR2]
      called_ae_titles: [DICOMD]
      hosts: [192.0.2.0/24, localhost]
      hosts_access: false
    tls:
      certificate: ETC/our.crt
      key: ETC/our.key
      ca: ETC/peers.crt
      client_certificate: required
      profile: bcp-195

stores:
  archive:
    directory: OBJECTS
    mode: normal
    subdirectories: none
    filenames: default
    extension: ""
    duplicates: overwrite
    durability: object
    file_mode: "0640"
    min_free_space: 1GiB

remotes:
  PACS:
    host: pacs.example.org
    port: 104
    ae_title: ARCHIVE
    calling_ae_title: DICOMD
    max_retrievals: 2
    tls: {ca: ETC/peers.crt}

retrievals:
  nightly-ct:
    remote: PACS
    destination: modalities
    model: study
    schedule: "15 2 * * *"
    timezone: Europe/Berlin
    window: {from: "20:00", to: "06:00"}
    find: {level: STUDY, keys: {StudyDate: "{yesterday}", ModalitiesInStudy: CT}}
    verify: instances
    retry: {attempts: 5, first: 1m, factor: 2, most: 1h}
    priority: low
    rate: {studies_per_hour: 200}

jobs: {database: sqlite}

logging:
  level: info
  format: json
  file: {path: /var/log/dicomd/dicomd.log, rotate: {size: 100MiB, keep: 10}}
  syslog: {address: /dev/log, facility: daemon}
  journal: true
  levels: {dicomd.negotiation: debug}
  config: ETC/logger.cfg
  identifiers: hash

metrics: {address: 127.0.0.1, port: 9104}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the example names."""
    (tmp_path / "objects").mkdir()
    (tmp_path / "profiles").mkdir()
    for source, target in (
        ("storescp.cfg", "profiles/storescp.cfg"),
        ("logger.cfg", "logger.cfg"),
    ):
        (tmp_path / target).write_bytes((SHIPPED / source).read_bytes())
    authority = trustme.CA()
    papers = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(tmp_path / "peers.crt"))
    papers.private_key_pem.write_to_path(str(tmp_path / "our.key"))
    papers.cert_chain_pems[0].write_to_path(str(tmp_path / "our.crt"))
    return tmp_path


def example(folder: Path) -> str:
    text = EXAMPLE.strip().replace("ETC", str(folder))
    return text.replace("OBJECTS", str(folder / "objects")) + "\n"


def test_every_key_loads(folder: Path) -> None:
    path = folder / "dicomd.yaml"
    path.write_text(example(folder))
    loaded = load_with_warnings(str(path))
    settings = loaded.settings
    listener = settings.listeners["modalities"]
    assert (listener.timeouts.acse, listener.timeouts.idle) == (30.0, 300.0)
    assert listener.access.hosts[0] == "192.0.2.0/24"
    assert listener.tls is not None
    assert listener.tls.client_certificate == "required"
    assert settings.stores["archive"].min_free_space == 1 << 30
    assert settings.remotes["PACS"].max_retrievals == 2
    assert settings.retrievals["nightly-ct"].retry.most == 3600.0
    assert settings.logging.identifiers == "hash"
    assert settings.metrics is not None
    assert settings.metrics.port == 9104


def test_what_a_log_configuration_replaces_is_a_warning(folder: Path) -> None:
    path = folder / "dicomd.yaml"
    path.write_text(example(folder))
    said = [str(one) for one in load_with_warnings(str(path)).warnings if one.file == str(path)]
    names = [line.split("`")[1] for line in said if "does nothing beside `config`" in line]
    assert names == ["level", "format", "file", "syslog", "journal", "levels"]


def leaves() -> list[str]:
    """The lines of the example that set a single value, apart from names that may be anything."""
    lines = textwrap.dedent(EXAMPLE).strip().splitlines()
    return [line for line in lines if ": " in line and "{" not in line and "[" not in line]


FREE = ("state_directory", "control_socket", "ae_title", "extension", "directory", "timezone")


@pytest.mark.parametrize("line", leaves(), ids=str.strip)
def test_a_wrong_value_is_told_with_its_place(folder: Path, line: str) -> None:
    key = line.partition(":")[0]
    if key.strip() in FREE[:2]:
        wrong = f"{key}: [a, list]"
    else:
        wrong = f"{key}: {{no: sense}}"
    text = example(folder)
    original = line.replace("ETC", str(folder)).replace("OBJECTS", str(folder / "objects"))
    number = text.splitlines().index(original) + 1
    path = folder / "dicomd.yaml"
    path.write_text("\n".join(wrong if one == original else one for one in text.splitlines()))
    with pytest.raises(ConfigError) as caught:
        load_with_warnings(str(path))
    places = [(fault.file, fault.line) for fault in caught.value.faults]
    assert (str(path), number) in places, [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize("line", leaves(), ids=str.strip)
def test_a_misspelt_key_is_told_with_what_was_meant(folder: Path, line: str) -> None:
    key = line.partition(":")[0].strip()
    misspelt = key[:-1] + "x" + key[-1]
    text = example(folder)
    original = line.replace("ETC", str(folder)).replace("OBJECTS", str(folder / "objects"))
    number = text.splitlines().index(original) + 1
    path = folder / "dicomd.yaml"
    path.write_text(
        "\n".join(
            one.replace(key, misspelt, 1) if one == original else one for one in text.splitlines()
        )
    )
    with pytest.raises(ConfigError) as caught:
        load_with_warnings(str(path))
    column = original.index(key) + 1
    start = f"{path}:{number}:{column}: unknown key '{misspelt}'"
    told = [str(fault) for fault in caught.value.faults]
    assert any(one.startswith(start) and f"did you mean '{key}'?" in one for one in told), told
