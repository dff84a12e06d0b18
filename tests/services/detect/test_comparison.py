"""What speaks against a release."""

import pytest

from classpulse.detect.swap import JUDGED_BOXES, Comparison, Sample, pairs
from classpulse.records import Detection
from tests.services.detect.swapping import PICTURE, box


def sample(*seen: Detection, took_ms: int = 10, busy: float = 0.1) -> Sample:
    return Sample([PICTURE], [seen], took_ms, busy)


BOTH = frozenset({"hand-raising", "sleeping"})


def test_nothing_compared_speaks_against_nothing() -> None:
    assert Comparison().fault() is None


def test_boxes_are_paired_once_by_behaviour_and_place() -> None:
    assert pairs([box(), box(0.11)], [box()]) == 1
    assert pairs([box()], [box(behaviour="sleeping")]) == 0
    assert pairs([box(0.1), box(0.5)], [box(0.51), box(0.12)]) == 2
    assert pairs([], [box()]) == 0


@pytest.mark.parametrize(("partners", "fits"), [(2, False), (3, True)])
def test_a_release_that_sees_other_things_is_refused_once_enough_was_compared(partners: int, fits: bool) -> None:
    found = Comparison()
    for _ in range(partners):
        found.add(sample(box()), [[box()]], 10, BOTH)
    assert found.fault() is None
    for _ in range(10 - partners):
        found.add(sample(box(0.1)), [[box(0.7)]], 10, BOTH)
    assert found.boxes >= JUDGED_BOXES
    assert (found.fault() is None) == fits
    assert fits or "agrees with 20% of 20 boxes in 10 looks; expected 30%" in str(found.fault())


def test_behaviours_that_only_one_of_both_knows_say_nothing() -> None:
    found = Comparison()
    for _ in range(20):
        found.add(sample(box(behaviour="stand-up")), [[box(behaviour="writing")]], 10, BOTH)
    assert (found.boxes, found.fault()) == (0, None)


def test_a_slower_release_is_refused_only_where_the_worker_could_not_keep_up() -> None:
    found = Comparison()
    found.add(sample(box(), took_ms=10, busy=0.2), [[box()]], 44, BOTH)
    assert found.fault() is None
    found.add(sample(box(), took_ms=10, busy=0.3), [[box()]], 44, BOTH)
    assert found.fault() == "takes 44 ms a look instead of 10, 110% of the time; expected 90% at most"


def test_a_release_is_not_blamed_for_looks_that_shared_the_machine_with_live_ones() -> None:
    found = Comparison()
    for took_ms in (11, 11, 40, 40):
        found.add(sample(box(), took_ms=10, busy=0.3), [[box()]], took_ms, BOTH)
    assert found.fault() is None
    assert found.load == pytest.approx(0.33)


def test_a_busy_machine_slows_both_and_speaks_against_none() -> None:
    found = Comparison()
    for old_ms, new_ms in ((110, 121), (100, 110), (45, 90), (40, 88)):
        found.add(sample(box(), took_ms=old_ms, busy=0.4), [[box()]], new_ms, BOTH)
    assert found.load == pytest.approx(0.44)
    assert found.fault() is None


@pytest.mark.parametrize("others", [1, 2, 7])
def test_one_slow_look_of_the_present_eyes_does_not_excuse_a_slow_release(others: int) -> None:
    found = Comparison()
    for old_ms in (400, *[40] * others):
        found.add(sample(box(), took_ms=old_ms, busy=0.4), [[box()]], 120, BOTH)
    assert found.fault() == "takes 120 ms a look instead of 40, 120% of the time; expected 90% at most"


def test_a_moment_of_haste_is_not_taken_for_the_load() -> None:
    found = Comparison()
    for busy in (0.2, 0.9, 0.2):
        found.add(sample(box(), took_ms=10, busy=busy), [[box()]], 20, BOTH)
    assert found.fault() is None


def test_a_release_is_compared_picture_by_picture_in_looks_as_large_as_the_present_ones() -> None:
    comparison = Comparison()
    comparison.add(Sample([PICTURE] * 2, [[box()], []], 20, 0.5), [[box()], [box()]], 10, BOTH)
    assert (comparison.boxes, comparison.matched, comparison.load) == (3, 2, 0.25)


def test_the_load_is_that_of_the_largest_looks() -> None:
    comparison = Comparison()
    for count, old_ms, new_ms in ((1, 4, 5), (12, 12, 40), (12, 14, 48)):
        seen = [[box()]] * count
        comparison.add(Sample([PICTURE] * count, seen, old_ms, 0.3), seen, new_ms, BOTH)
    assert comparison.pace_ms == (14, 48)
    assert comparison.fault() == "takes 48 ms a look instead of 14, 103% of the time; expected 90% at most"
