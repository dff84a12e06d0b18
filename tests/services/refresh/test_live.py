"""A canary is judged by what detect reports: refused, blind, slower or losing more than the others is worse."""

from typing import Any

from classpulse.records import CameraReport
from classpulse.refresh.live import SETTLED_MS, Watch

OLD, NEW = "a" * 64, "b" * 64
OURS, OTHER = "t/s/one/front", "t/s/two/front"


def report(camera: str, at_ms: int, **fields: Any) -> CameraReport:
    model = NEW if camera == OURS else OLD
    known = {"camera": camera, "at_ms": at_ms, "stage": "detect", "state": "up", "model": model}
    return CameraReport(**{**known, "capture_to_detection_ms": 100, **fields})


def watched(*rounds: dict[str, Any], **both: Any) -> Watch:
    """A watch that heard so many rounds of reports; fields of `rounds` are the canary's, of `both` everybody's."""
    watch = Watch(NEW, frozenset({OURS}), -SETTLED_MS)
    for number, ours in enumerate(rounds):
        seen = {"detected": 100 * number, **both}
        reports = {OURS: report(OURS, number, **{**seen, **ours}), OTHER: report(OTHER, number, **seen)}
        watch.hear(reports)
    return watch


def test_one_that_does_as_the_others_do_is_not_worse() -> None:
    watch = watched({}, {}, {})
    assert watch.worse() == []
    assert watch.seen == {True: 200, False: 200}


def test_one_that_a_worker_refused_is_worse_at_once() -> None:
    watch = watched({}, {"refused_swap": f"{NEW[:12]}: agrees with 10 %", "model": OLD})
    assert watch.refused().endswith("agrees with 10 %")
    assert watch.worse() == [f"{OURS}: {NEW[:12]}: agrees with 10 %"]


def test_what_was_refused_of_another_release_is_not_held_against_it() -> None:
    assert watched({}, {"refused_swap": f"{OLD[:12]}: too slow"}).worse() == []


def test_one_that_never_looked_is_worse() -> None:
    assert watched({"model": OLD}, {"model": OLD}).worse() == [
        f"it never looked at {OURS}; expected it at every camera of the canary"
    ]


def test_one_whose_cameras_lose_more_pictures_is_worse() -> None:
    (said,) = watched({}, {"dropped": {"stale": 5}}).worse()
    assert said.startswith("its cameras lost 4.8% of their pictures, the others 0.0%")
    assert watched({}, {"dropped": {"stale": 1}}).worse() == []


def test_pictures_that_all_cameras_lose_are_not_held_against_it() -> None:
    assert watched({}, {}, dropped={"stale": 0}).worse() == []
    watch = Watch(NEW, frozenset({OURS}), -SETTLED_MS)
    for number in range(2):
        lost = {"detected": 100 * number, "dropped": {"stale": 20 * number}}
        watch.hear({camera: report(camera, number, **lost) for camera in (OURS, OTHER)})
    assert watch.worse() == []


def test_one_that_is_half_as_slow_again_is_worse() -> None:
    (said,) = watched({"capture_to_detection_ms": 300}, {"capture_to_detection_ms": 300}).worse()
    assert said == "300 ms from capture to detection, the others 100 ms; expected 1.5 times at most"
    assert watched({"capture_to_detection_ms": 190}, {"capture_to_detection_ms": 190}).worse() == []


def test_a_report_that_is_read_twice_counts_once_and_a_worker_that_begins_anew_takes_nothing_off() -> None:
    watch = watched({}, {})
    watch.hear({OURS: report(OURS, 1, detected=100)})
    watch.hear({OURS: report(OURS, 2, detected=10)})
    watch.hear({OURS: report(OURS, 3, detected=30)})
    assert watch.seen[True] == 120


def test_what_was_said_before_the_workers_knew_of_it_is_not_held_against_it() -> None:
    watch = Watch(NEW, frozenset({OURS}), 0)
    watch.hear({OURS: report(OURS, SETTLED_MS - 1, refused_swap=f"{NEW[:12]}: of the time before")})
    watch.hear({OURS: report(OURS, SETTLED_MS)})
    assert watch.worse() == []
