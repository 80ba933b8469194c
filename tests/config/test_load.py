"""dicomd.yaml to settings: every fault at once, with its place and what would be right."""

import textwrap
from pathlib import Path

import pytest
import trustme

from dicomd.config.load import load, load_with_warnings
from dicomd.errors import ConfigError
from dicomd.settings.daemon import DaemonSettings
from dicomd.settings.profile import VERIFICATION
from dicomd.storage.templates import parse_template

PROFILES = Path(__file__).parents[2] / "profiles"
NO_DURATION = "not a duration; write seconds or a number with s, m, h or d (30, 30s, 5m)"
NO_TEXT = "expected text (a number that is meant as text stands in quotes)"
NO_MODE = 'not a file mode; write it quoted and in octal, as in "0640"'
MODES = "expected 'normal', 'bit-preserving' or 'ignore'"
SOUND = "stores: {s: {directory: objects}}\nlisteners: {a: {port: 0}}\n"


def check_template(text: str, folders: bool) -> None:
    parse_template(text, folders=folders)


def write(folder: Path, text: str, name: str = "dicomd.yaml") -> str:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return str(path)


def settings(folder: Path, text: str) -> DaemonSettings:
    return load(write(folder, text), check_template=check_template)


def faults(folder: Path, text: str) -> list[str]:
    """The faults of a text, with ``FILE`` for its path."""
    path = write(folder, text)
    with pytest.raises(ConfigError) as caught:
        load(path, check_template=check_template)
    return [str(fault).replace(path, "FILE") for fault in caught.value.faults]


def test_the_profile_of_make_run_is_sound() -> None:
    loaded = load(str(PROFILES / "dicomd.yaml"))
    (listener,) = loaded.listeners.values()
    assert (listener.address, listener.port) == ("127.0.0.1", 11112)
    assert listener.negotiation is not None
    assert len(listener.negotiation.contexts) > 190


def test_units_are_read_and_defaults_filled_in(tmp_path: Path) -> None:
    loaded = settings(
        tmp_path,
        """
        state_directory: state
        drain_timeout: 2m
        stores: {s: {directory: /objects, min_free_space: 2GiB, file_mode: "0600"}}
        listeners:
          a: {port: 11113, timeouts: {acse: 250ms, dimse: 30}, limits: {object_size: 64KiB}}
        """,
    )
    listener, store = loaded.listeners["a"], loaded.stores["s"]
    assert loaded.drain_timeout == 120.0
    assert (listener.timeouts.acse, listener.timeouts.dimse) == (0.25, 30.0)
    assert listener.limits.object_size == 65536
    assert (store.min_free_space, store.file_mode) == (2 << 30, 0o600)
    assert listener.store == "s"
    assert loaded.state_directory == str(tmp_path / "state")
    assert loaded.control_socket == str(tmp_path / "state" / "control.sock")


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    assert faults(
        tmp_path,
        """\
        state_directry: /x
        listeners:
          a: {port: 70000, workers: many, stroe: s}
          b: {port: "104", timeouts: {acse: 5x}, ae_title: 12}
        stores:
          s: {directory: objs, file_mode: 0640, mode: norml}
        logging: {file: {path: x.log, rotate: {sise: 1}}, journal: on}
        retrievals:
          n: {remote: P, window: {from: 20:00, too: 1}}
        """,
    ) == [
        "FILE:1:1: unknown key 'state_directry'; did you mean 'state_directory'?",
        "FILE:3:13: listeners.a.port: 70000 is too large; the most is 65535",
        "FILE:3:29: listeners.a.workers: \"many\" is not right; expected a whole number or 'auto'",
        "FILE:3:35: unknown key 'stroe' in listeners.a; did you mean 'store'?",
        'FILE:4:13: listeners.b.port: "104" is not right; expected a whole number',
        f"FILE:4:37: listeners.b.timeouts.acse: {NO_DURATION}",
        f"FILE:4:52: listeners.b.ae_title: 12 is not right; {NO_TEXT}",
        f"FILE:6:35: stores.s.file_mode: {NO_MODE}",
        f'FILE:6:47: stores.s.mode: "norml" is not right; {MODES}',
        "FILE:7:40: unknown key 'sise' in logging.file.rotate; did you mean 'size'?",
        'FILE:7:60: logging.journal: "on" is not right; expected true or false',
        "FILE:9:3: retrievals.n: 'destination' is missing",
        "FILE:9:40: unknown key 'too' in retrievals.n.window; did you mean 'to'?",
    ]


def test_a_dangling_name_is_found_beside_a_wrong_type(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """\
        stores: {archive: {directory: o}, other: {directory: p}}
        listeners: {a: {port: x, store: archiv}}
        """,
    )
    assert found == [
        'FILE:2:23: listeners.a.port: "x" is not right; expected a whole number',
        "FILE:2:33: no store 'archiv'; did you mean 'archive'?",
    ]


def test_what_a_left_out_entry_would_have_meant_is_no_fault(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """\
        state_directory: st
        stores: {s: {directory: o}}
        remotes: {P: {host: h}}
        listeners: {a: {port: 0}}
        retrievals: {r: {remote: P, destination: a, keys: {StudyInstanceUID: "1.2"}}}
        """,
    )
    assert found == ["FILE:3:11: remotes.P: 'ae_title' is missing"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", "FILE:1:1: nothing to do: name at least one listener under `listeners:`"),
        ("[]", "FILE:1:1: expected a mapping: keys such as `listeners:`"),
        (
            "stores: {s: {}}\nlisteners: {a: {port: 0}}",
            "FILE:1:10: store 's' has no `directory`; only one with `mode: ignore` needs none",
        ),
        (
            "stores: {s: {directory: x}, t: {directory: ./x}}\nlisteners: {a: {store: s}}",
            "FILE:1:44: stores.s has the same directory",
        ),
        (
            "stores: {s: {directory: x}, t: {directory: y}}\nlisteners: {a: {port: 0}}",
            "FILE:2:13: listener 'a' names no `store`; there are s, t",
        ),
        (
            SOUND + "remotes: {P: {host: h, ae_title: SEVENTEEN-LETTERS}}",
            "FILE:3:34: AE title 'SEVENTEEN-LETTERS' has more than 16 characters (PS3.5 6.2)",
        ),
        (
            "listeners: {}\nstores: {s: {directory: x, subdirectories: '{StudyInstanceUId}'}}",
            "FILE:2:44: {StudyInstanceUId} is no DICOM keyword; did you mean {StudyInstanceUID}?",
        ),
        (
            "stores: {s: {directory: x, filenames: uniqe}}\nlisteners: {a: {port: 0}}",
            "FILE:1:39: 'uniqe' is not known; did you mean 'unique'?",
        ),
        (
            "stores: {s: {directory: x}}\nlisteners: {a: {access: {hosts: [1.2.3.400]}}}",
            "FILE:2:34: '1.2.3.400' is no network, address or host name; write 192.0.2.0/24",
        ),
        (
            "stores: {s: {directory: x}}\nlisteners: {a: {address: 300.1.1.1}}",
            "FILE:2:26: '300.1.1.1' is no address; write 0.0.0.0, 127.0.0.1 or ::1",
        ),
        (
            SOUND + "metrics: {address: ':1:'}",
            "FILE:3:20: ':1:' is no address; write 0.0.0.0, 127.0.0.1 or ::1",
        ),
        (
            "stores: {s: {directory: x}}\nlisteners: {a: {port: 1, socket: dicom}}",
            "FILE:2:23: a listener has `port` or `socket`, not both",
        ),
        (SOUND + "user: no-such-user-here", "FILE:3:7: no user 'no-such-user-here' on this system"),
        (SOUND + "jobs: {database: mysql}", "FILE:3:18: expected sqlite, or a postgresql:// URL"),
        (
            "stores: {s: {directory: x}}\nlisteners: {a: {access: {certificates: {ct: [CT1]}}}}",
            "FILE:2:26: `certificates` lets nobody in without `tls:` that asks callers for theirs",
        ),
        (
            SOUND + "include: nowhere.d",
            "FILE:3:10: 'nowhere.d' does not exist",
        ),
    ],
)
def test_what_can_never_work_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in faults(tmp_path, text)


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("", "127.0.0.1", True),
        ("::", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "::1", False),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_two_listeners_cannot_have_one_port(
    tmp_path: Path, one: str, other: str, clash: bool
) -> None:
    text = f"""\
        stores: {{s: {{directory: x}}}}
        listeners:
          a: {{address: "{one}", port: 104}}
          b: {{address: "{other}", port: 104}}
        """
    if clash:
        (fault,) = faults(tmp_path, text)
        assert "listener 'a' has port 104 of the same address" in fault
    else:
        assert len(settings(tmp_path, text).listeners) == 2


RETRIEVAL = SOUND + "state_directory: st\nremotes: {P: {host: h, ae_title: A}}\nretrievals: {r: "


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{remote: Q, destination: a, keys: {StudyDate: y}}", "no remote 'Q'; there are P"),
        ("{remote: P, destination: a}", "it needs one of `find`, `list` and `keys`"),
        ("{remote: P, destination: a, find: {}, keys: {StudyDate: y}}", "has find and keys"),
        (
            "{remote: P, destination: a, find: {keys: {StudyDat: '1'}}}",
            "'StudyDat' is no DICOM keyword; did you mean 'StudyDate'?",
        ),
        (
            "{remote: P, destination: a, find: {keys: {StudyDate: '{yesteryear}'}}}",
            "what stands in braces is not a date",
        ),
        ("{remote: P, destination: a, list: none.csv}", "none.csv cannot be read"),
        ("{remote: P, destination: a, keys: {StudyDate: y}, schedule: 61 * * * *}", "is no minute"),
        ("{remote: P, destination: a, keys: {StudyDate: y}, schedule: 1 2 3}", "has 3 fields"),
        (
            "{remote: P, destination: a, keys: {StudyDate: y}, schedule: '@daily', every: 5m}",
            "`schedule` or `every`, not both",
        ),
        ("{remote: P, destination: a, keys: {StudyDate: y}, timezone: Mars/Base}", "no time zone"),
        (
            "{remote: P, destination: a, keys: {StudyDate: y}, window: {from: '25:00'}}",
            "'25:00' is no time of day",
        ),
    ],
)
def test_retrievals_are_checked(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in fault for fault in faults(tmp_path, RETRIEVAL + text + "}\n"))


def test_a_window_may_begin_before_midnight(tmp_path: Path) -> None:
    text = "{remote: P, destination: a, keys: {StudyDate: y}, window: {from: 20:00, to: 06:00}}}"
    window = settings(tmp_path, RETRIEVAL + text).retrievals["r"].window
    assert window is not None
    assert (window.from_, window.to) == ("20:00", "06:00")


def test_host_names_become_addresses(tmp_path: Path) -> None:
    text = "stores: {s: {directory: x}}\nlisteners: {a: {access: {hosts: [localhost, 10.1.2.3/8]}}}"
    hosts = settings(tmp_path, text).listeners["a"].access.hosts
    assert "127.0.0.1/32" in hosts
    assert "10.0.0.0/8" in hosts


def test_profiles_are_read_with_the_faults_of_their_own_files(tmp_path: Path) -> None:
    write(tmp_path, "[[TransferSyntaxes]]\n[T]\nTransferSyntax1 = Uncompresed\n", "bad.cfg")
    text = """\
        stores: {s: {directory: x}}
        listeners:
          a: {port: 0, profile: {file: bad.cfg}}
          b: {port: 0, profile: {file: gone.cfg}}
        """
    found = faults(tmp_path, text)
    assert any(fault.startswith(f"{tmp_path}/bad.cfg:3") for fault in found), found
    assert any(fault.startswith("FILE:4:32: profile") and "gone.cfg" in fault for fault in found)


def test_a_profile_is_resolved(tmp_path: Path) -> None:
    text = f"""\
        stores: {{s: {{directory: x}}}}
        listeners: {{a: {{port: 0, profile: {{file: {PROFILES}/verification.cfg}}}}}}
        """
    negotiation = settings(tmp_path, text).listeners["a"].negotiation
    assert negotiation is not None
    assert [one.abstract_syntax for one in negotiation.contexts] == [VERIFICATION]


def test_included_files_are_merged_in_their_order(tmp_path: Path) -> None:
    write(tmp_path, "listeners: {b: {port: 0, store: s}}\n", "conf.d/20-b.yaml")
    write(tmp_path, "stores: {s: {directory: here}}\nlogging: {level: debug}\n", "conf.d/10.yaml")
    write(tmp_path, "no yaml: [", "conf.d/ignored.txt")
    loaded = settings(
        tmp_path, "include: conf.d\nlisteners: {a: {port: 0}}\nlogging: {format: console}\n"
    )
    assert sorted(loaded.listeners) == ["a", "b"]
    assert loaded.stores["s"].directory == str(tmp_path / "conf.d" / "here")
    assert (loaded.logging.level, loaded.logging.format) == ("debug", "console")


def test_what_stands_in_two_files_is_a_fault(tmp_path: Path) -> None:
    write(tmp_path, "listeners: {a: {port: 1}}\nlogging: {level: info}\n", "more.yaml")
    found = faults(tmp_path, SOUND + "logging: {level: debug}\ninclude: [more.yaml]\n")
    assert found == [
        f"{tmp_path}/more.yaml:1:13: listeners.a is given twice; the first is in FILE:2",
        f"{tmp_path}/more.yaml:2:11: logging.level is given twice; the first is in FILE:3",
    ]


def test_tls_files_are_there_and_fit(tmp_path: Path) -> None:
    authority = trustme.CA()
    for name in ("one", "two"):
        certificate = authority.issue_cert("localhost")
        (tmp_path / f"{name}.key").write_bytes(certificate.private_key_pem.bytes())
        (tmp_path / f"{name}.crt").write_bytes(certificate.cert_chain_pems[0].bytes())
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    text = "stores: {s: {directory: x}}\nlisteners: {a: {port: 0, tls: {KEYS}}}\n"

    def with_keys(keys: str) -> str:
        return text.replace("KEYS", keys)

    sound = "certificate: one.crt, key: one.key, ca: ca.crt"
    assert settings(tmp_path, with_keys(sound)).listeners["a"].tls is not None
    (fault,) = faults(tmp_path, with_keys(sound.replace("one.key", "two.key")))
    assert "certificate and key cannot be used together: key values mismatch" in fault
    (fault,) = faults(tmp_path, with_keys(sound.replace("ca.crt", "one.key")))
    assert "holds no PEM certificates" in fault
    (fault,) = faults(tmp_path, with_keys(sound.replace("one.crt", "gone.crt")))
    assert fault.endswith("gone.crt does not exist")
    (fault,) = faults(tmp_path, with_keys("certificate: one.crt, key: one.key"))
    assert "checking peers' certificates needs `ca`" in fault


def test_secrets_can_be_credentials_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SOUND + "jobs: {password_file: credential:database}\n"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (fault,) = faults(tmp_path, text)
    assert "no credential 'database'" in fault
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "database").write_text("secret")
    assert settings(tmp_path, text).jobs.password_file == str(tmp_path / "database")


def test_doubtful_places_are_warnings_in_the_settings_too(tmp_path: Path) -> None:
    loaded = load_with_warnings(write(tmp_path, SOUND))
    (warning,) = loaded.warnings
    assert warning.text.endswith("objects does not exist; objects are refused until it does")
    assert loaded.settings.warnings == (str(warning),)


def test_a_log_configuration_of_dcmtk_is_read(tmp_path: Path) -> None:
    write(tmp_path, "log4cplus.rootLogger = INFO\n", "logger.cfg")
    loaded = settings(tmp_path, SOUND + "logging: {config: logger.cfg}\n")
    assert loaded.logging.dcmtk is not None
    (fault,) = faults(tmp_path, SOUND + "logging: {config: gone.cfg}\n")
    assert "does not exist" in fault
