"""A canary is judged by what detect reports: refused, blind, slower or losing more than the others is worse."""

from types import SimpleNamespace
from typing import Any

from classpulse.detect.sight import LineSight
from classpulse.records import CameraReport
from classpulse.refresh.live import SETTLED_MS, SILENT_MS, Watch

OLD, NEW = "a" * 64, "b" * 64
OURS, OTHER = "t/s/one/front", "t/s/two/front"


def report(camera: str, at_ms: int, **fields: Any) -> CameraReport:
    model = NEW if camera == OURS else OLD
    known = {"camera": camera, "at_ms": at_ms, "stage": "detect", "state": "up", "model": model}
    return CameraReport(**{**known, "capture_to_detection_ms": 100, **fields})


def watched(*rounds: dict[str, Any], others: bool = True, **both: Any) -> Watch:
    """A watch that heard so many rounds of reports; fields of `rounds` are the canary's, of `both` everybody's."""
    watch = Watch(NEW, frozenset({OURS}), -SETTLED_MS, {OURS: report(OURS, -1, model=OLD)})
    for number, ours in enumerate(rounds):
        seen = {"detected": 100 * number, **both}
        reports = {OURS: report(OURS, number, **{**seen, **ours}), OTHER: report(OTHER, number, **seen)}
        watch.hear(reports if others else {OURS: reports[OURS]})
    return watch


def worse(*rounds: dict[str, Any], **both: Any) -> list[str]:
    return watched(*rounds, **both).worse(len(rounds))


def test_one_that_does_as_the_others_do_is_not_worse() -> None:
    watch = watched({}, {}, {})
    assert watch.worse(3) == []
    assert (watch.ours.looked_at, watch.others.looked_at) == ({OURS: 200}, {OTHER: 200})


def test_one_that_a_worker_refused_is_worse_at_once() -> None:
    watch = watched({}, {"refused_swap": refused(NEW), "model": OLD})
    assert watch.refusals
    assert watch.worse(2) == [f"{OURS}: {refused(NEW)}"]


def test_what_was_refused_of_another_release_is_not_held_against_it() -> None:
    assert worse({}, {"refused_swap": refused(OLD)}) == []


def refused(digest: str) -> str:
    """As a worker says it."""
    role = SimpleNamespace(refused={digest: "agrees with 10 %"})
    return LineSight.refused.fget(SimpleNamespace(_champion=role, _canary=role))  # type: ignore[attr-defined, no-any-return]


def test_one_that_never_looked_is_worse() -> None:
    assert worse({"model": OLD}, {"model": OLD}) == [f"{OURS}: it looked at 0 pictures; expected 20 at least"]


def test_one_that_hardly_looked_is_worse() -> None:
    assert worse({}, {"detected": 19}) == [f"{OURS}: it looked at 19 pictures; expected 20 at least"]
    assert worse({}, {"detected": 20}) == []


def test_one_that_stopped_looking_is_worse() -> None:
    assert worse({}, {}, {"model": OLD}) == [f"{OURS}: it does not look any more; expected it to, until the end"]
    watch = watched({}, {}, {})
    assert watch.worse(2 + SILENT_MS) == []
    assert watch.worse(3 + SILENT_MS) == [f"{OURS}: it does not look any more; expected it to, until the end"]


def test_one_whose_cameras_lose_more_pictures_is_worse() -> None:
    (said,) = worse({}, {"dropped": {"stale": 5}})
    assert said.startswith("its cameras lost 4.8% of their pictures, the others 0.0%")
    assert worse({}, {"dropped": {"stale": 1}}) == []


def test_pictures_that_all_cameras_lose_are_not_held_against_it() -> None:
    watch = Watch(NEW, frozenset({OURS}), -SETTLED_MS)
    for number in range(2):
        lost = {"detected": 100 * number, "dropped": {"stale": 20 * number}}
        watch.hear({camera: report(camera, number, **lost) for camera in (OURS, OTHER)})
    assert watch.worse(2) == []


def test_one_that_is_half_as_slow_again_is_worse() -> None:
    (said,) = worse({"capture_to_detection_ms": 300}, {"capture_to_detection_ms": 300})
    assert said == "300 ms from capture to detection, the champion 100 ms; expected 1.5 times at most"
    assert worse({"capture_to_detection_ms": 190}, {"capture_to_detection_ms": 190}) == []


def test_where_all_cameras_are_its_own_it_is_compared_with_what_was_before() -> None:
    slow = {"capture_to_detection_ms": 300}
    (said,) = worse(slow, slow, others=False)
    assert said == "300 ms from capture to detection, the champion 100 ms; expected 1.5 times at most"


def test_a_report_that_is_read_twice_counts_once_and_a_worker_that_begins_anew_takes_nothing_off() -> None:
    watch = watched({}, {})
    watch.hear({OURS: report(OURS, 1, detected=100)})
    watch.hear({OURS: report(OURS, 2, detected=10)})
    watch.hear({OURS: report(OURS, 3, detected=30)})
    assert watch.ours.looked_at == {OURS: 120}


def test_what_was_said_before_the_workers_knew_of_it_is_not_held_against_it() -> None:
    watch = Watch(NEW, frozenset({OURS}), 0)
    watch.hear({OURS: report(OURS, SETTLED_MS - 1, refused_swap=refused(NEW))})
    watch.hear({OURS: report(OURS, SETTLED_MS)})
    assert not watch.refusals
