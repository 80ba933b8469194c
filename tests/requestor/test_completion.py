from dicomd.requestor.completion import judge, portions
from dicomd.requestor.find_scu import INSTANCE_UID, SERIES_UID, STUDY_UID

STUDY = {STUDY_UID: "1"}
PROMISED = {"1.1.1": "1.1", "1.1.2": "1.1", "1.2.1": "1.2", "1.2.2": "1.2", "1.2.3": "1.2"}


def test_nothing_promised_is_never_complete() -> None:
    assert not judge({}, set()).is_complete


def test_complete_when_each_promised_instance_is_there() -> None:
    assert judge(PROMISED, set(PROMISED) | {"9.9"}).is_complete
    verdict = judge(PROMISED, {"1.1.1"})
    assert not verdict.is_complete
    assert (verdict.promised, verdict.present) == (5, 1)
    assert verdict.missing == ("1.1.2", "1.2.1", "1.2.2", "1.2.3")


def test_all_missing_is_asked_for_as_it_was() -> None:
    (portion,) = portions("STUDY", STUDY, PROMISED, list(PROMISED))
    assert (portion.level, portion.keys) == ("STUDY", STUDY)


def test_a_missing_series_and_a_missing_instance_are_asked_for_alone() -> None:
    series, image = sorted(
        portions("STUDY", STUDY, PROMISED, ["1.1.1", "1.1.2", "1.2.3"]),
        key=lambda portion: portion.level,
        reverse=True,
    )
    assert (series.level, series.keys[SERIES_UID], series.brings) == ("SERIES", "1.1", 2)
    assert (image.level, image.keys[INSTANCE_UID], image.brings) == ("IMAGE", "1.2.3", 1)
    assert image.keys[STUDY_UID] == "1"


def test_instances_are_listed_together_or_one_by_one() -> None:
    (together,) = portions("STUDY", STUDY, PROMISED, ["1.2.1", "1.2.2"])
    assert together.keys[INSTANCE_UID] == "1.2.1\\1.2.2"
    single = portions("STUDY", STUDY, PROMISED, ["1.2.1", "1.2.2"], one_by_one=True)
    assert [portion.brings for portion in single] == [1, 1]


def test_long_lists_are_divided() -> None:
    promised = {f"1.2.{number}": "1.2" for number in range(130)}
    found = portions("STUDY", STUDY, promised, list(promised)[1:])
    assert [portion.brings for portion in found] == [50, 50, 29]
