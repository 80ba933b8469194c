"""Old settings x new settings -> what changes."""

from dataclasses import replace

import pytest

from dicomd.errors import ConfigError
from dicomd.settings.daemon import DaemonSettings, JobsSettings, MetricsSettings
from dicomd.settings.listener import AccessSettings, ListenerSettings, TlsSettings
from dicomd.settings.log import LogFileSettings, LogSettings
from dicomd.settings.profile import VERIFICATION_ONLY
from dicomd.settings.remote import RemoteSettings
from dicomd.settings.retrieval import FindSettings, RetrievalSettings
from dicomd.settings.storage import StoreSettings
from dicomd.supervisor.reload import changes, plan

OLD = DaemonSettings(
    state_directory="/state",
    listeners={
        "one": ListenerSettings(port=11112),
        "two": ListenerSettings(port=11113, store="archive"),
    },
    stores={"archive": StoreSettings(directory="/objects")},
    remotes={"PACS": RemoteSettings(host="pacs", ae_title="ARCHIVE")},
)


def listeners(**more: ListenerSettings) -> DaemonSettings:
    return replace(OLD, listeners={**OLD.listeners, **more})


def keys(new: DaemonSettings, old: DaemonSettings = OLD) -> list[str]:
    return [change.key for change in changes(old, new)]


def test_same_settings_change_nothing() -> None:
    planned = plan(OLD, replace(OLD))
    assert planned.changes == ()
    assert planned.kept == ("one", "two")
    assert not any((planned.replaced, planned.opened, planned.closed))
    assert not any((planned.requestor, planned.indexer, planned.metrics, planned.logging))


def test_a_changed_listener_is_replaced_and_the_other_kept() -> None:
    planned = plan(OLD, listeners(one=ListenerSettings(port=11112, max_pdu=16384)))
    assert planned.replaced == ("one",)
    assert planned.kept == ("two",)
    (change,) = planned.changes
    assert str(change) == "listeners.one.max_pdu: 131072 -> 16384"


def test_listeners_come_and_go() -> None:
    new = replace(OLD, listeners={"two": OLD.listeners["two"], "three": ListenerSettings(port=3)})
    planned = plan(OLD, new)
    assert planned.opened == ("three",)
    assert planned.closed == ("one",)
    assert planned.kept == ("two",)


def test_changes_of_stores_and_of_the_log_replace_workers() -> None:
    other = {"archive": StoreSettings(directory="/elsewhere")}
    assert plan(OLD, replace(OLD, stores=other)).replaced == ("one", "two")
    louder = plan(OLD, replace(OLD, logging=LogSettings(level="debug")))
    assert louder.replaced == ("one", "two")
    assert louder.logging


def test_nested_keys_have_dotted_names() -> None:
    new = replace(OLD, logging=LogSettings(file=LogFileSettings(path="/log")))
    assert "logging.file.path" in keys(new)
    access = AccessSettings(calling_ae_titles=("CT1", "MR2"))
    (change,) = changes(OLD, listeners(one=replace(OLD.listeners["one"], access=access)))
    assert change.key == "listeners.one.access.calling_ae_titles"
    assert change.new == "[CT1, MR2]"


def test_secrets_are_masked() -> None:
    one = replace(OLD.listeners["one"], tls=TlsSettings(key_password="hunter2"))
    two = replace(OLD.listeners["one"], tls=TlsSettings(key_password="hunter3"))
    shown = repr(changes(listeners(one=one), listeners(one=two)))
    assert "key_password" in shown
    assert "hunter" not in shown
    database = JobsSettings(database="postgresql://dicomd:hunter2@db/jobs")
    shown = repr(changes(OLD, replace(OLD, jobs=database)))
    assert "postgresql://dicomd:***@db/jobs" in shown


@pytest.mark.parametrize("where", ["keys", "find"])
def test_values_of_queries_that_may_name_a_patient_are_masked(where: str) -> None:
    keys = {"PatientName": "ZZMARKER*", "AccessionNumber": "ZZMARKER", "StudyInstanceUID": "1.2.3"}
    query = {"keys": keys} if where == "keys" else {"find": FindSettings(keys=keys)}
    job = RetrievalSettings(remote="PACS", destination="one", **query)  # type: ignore[arg-type]  # one of both
    shown = [str(change) for change in changes(OLD, replace(OLD, retrievals={"nightly": job}))]
    assert any("PatientName added: ***" in change for change in shown)
    assert any("StudyInstanceUID added: 1.2.3" in change for change in shown)
    assert "ZZMARKER" not in str(shown)


def test_profile_counts_as_one_key() -> None:
    one = replace(OLD.listeners["one"], negotiation=VERIFICATION_ONLY)
    planned = plan(OLD, listeners(one=one))
    assert keys(listeners(one=one)) == ["listeners.one.profile.content"]
    assert planned.callers == (
        "one: the association profile differs; `dicomd profile diff` shows how",
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((), ("CT1",), "only calling AE titles CT1 now (were any)"),
        (("CT1",), (), "any calling AE titles now (were CT1)"),
        (("CT1", "CT2"), ("CT2", "CT3"), "calling AE titles refused now: CT1"),
        (("CT1", "CT2"), ("CT2", "CT3"), "calling AE titles allowed now: CT3"),
    ],
)
def test_callers_that_win_or_lose_are_named(
    before: tuple[str, ...], after: tuple[str, ...], said: str
) -> None:
    def with_titles(titles: tuple[str, ...]) -> DaemonSettings:
        access = AccessSettings(calling_ae_titles=titles)
        return listeners(one=ListenerSettings(port=11112, access=access))

    planned = plan(with_titles(before), with_titles(after))
    assert f"one: {said}" in planned.callers


@pytest.mark.parametrize("key", ["state_directory", "user", "group"])
def test_what_needs_a_restart_is_refused(key: str) -> None:
    changed: dict[str, str] = {key: "other"}
    with pytest.raises(ConfigError, match=f"{key} cannot change while the daemon runs"):
        plan(OLD, DaemonSettings(**{"state_directory": "/state", **changed}))  # type: ignore[arg-type]  # all are text


def test_jobs_are_named_and_get_a_new_requestor() -> None:
    nightly = RetrievalSettings(remote="PACS", destination="one")
    before = replace(OLD, retrievals={"nightly": nightly, "old": nightly})
    after = replace(OLD, retrievals={"nightly": replace(nightly, priority="high"), "new": nightly})
    planned = plan(before, after)
    assert planned.jobs_added == ("new",)
    assert planned.jobs_removed == ("old",)
    assert planned.jobs_changed == ("nightly",)
    assert planned.requestor
    assert planned.kept == ("one", "two")
    assert not plan(before, replace(before, metrics=MetricsSettings())).requestor


def test_a_remote_alone_does_not_need_a_requestor() -> None:
    remotes = {"OTHER": RemoteSettings(host="other", ae_title="X")}
    assert not plan(OLD, replace(OLD, remotes=remotes)).requestor
