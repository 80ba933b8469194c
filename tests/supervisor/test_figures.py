"""Counters of many children, summed."""

from dicomd.supervisor.figures import Ledger, Rate, add


def test_numbers_and_dictionaries_are_summed_key_by_key() -> None:
    total = add({}, {"objects": 1, "statuses": {"0000": 1}})
    add(total, {"objects": 2, "bytes": 5, "statuses": {"0000": 1, "A700": 3}})
    assert total == {"objects": 3, "bytes": 5, "statuses": {"0000": 2, "A700": 3}}


def test_what_cannot_be_summed_is_left_out() -> None:
    assert add({}, {"state": "idle", "alive": True, "objects": 1}) == {"objects": 1}


def test_sums_never_fall_when_a_child_ends() -> None:
    ledger = Ledger()
    assert ledger.total("one", [{"objects": 5}]) == {"objects": 5}
    ledger.close_account("one", {"objects": 5})
    assert ledger.total("one", [{"objects": 0}]) == {"objects": 5}
    assert ledger.total("two", []) == {}


def test_totals_are_not_shared_with_the_ledger() -> None:
    ledger = Ledger()
    ledger.close_account("one", {"statuses": {"0000": 1}})
    ledger.total("one", [{"statuses": {"0000": 9}}])
    assert ledger.total("one", []) == {"statuses": {"0000": 1}}


def test_rate_is_that_of_the_last_ten_seconds() -> None:
    rate = Rate()
    assert rate.per_second == 0
    for second in range(60):
        rate.sample(float(second), 100.0 * min(second, 30))
    assert rate.per_second == 0
    rate.sample(60.0, 3000 + 500)
    assert 40 <= rate.per_second <= 60


def test_rate_of_a_figure_that_falls_is_zero() -> None:
    rate = Rate()
    rate.sample(0.0, 10)
    rate.sample(1.0, 5)
    assert rate.per_second == 0
