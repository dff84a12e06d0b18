import json
from pathlib import Path

import msgspec
import pytest

from classpulse.codec import canonical
from classpulse.demo.check import faults_of, main
from classpulse.demo.latency import capture_to_event_ms, percentile
from classpulse.demo.measuring import frames_per_s, measured
from classpulse.demo.report import FILES, demo_page, report_fields, write_all
from classpulse.reading import State
from classpulse.records import BehaviourEvent, TimelineBucket
from classpulse.topics import DETECTIONS, EVENTS, FRAMES, INGEST_STATE, TIMELINES
from tests.services.demo.log import (
    CAMERA,
    MODEL,
    ROOM,
    Log,
    a_lesson,
    a_played_lesson,
    bucket,
    detected,
    event,
    frame,
    hand,
    remembered,
)

GOOD = {
    "behaviours": {
        name: {"true": 12, "found": 11, "missed": 1, "false": 1, "precision": 0.9, "recall": 0.9, "f1": 0.9}
        for name in ("hand-raising", "stand-up", "sleeping")
    },
    "cameras": {CAMERA: {"captured": 100, "in_timelines": 98, "dropped": {"stale": 2}, "clip_frames": 100}},
    "rooms": {ROOM: {"coverage": 0.98, "frames": 98, "missing": {"stale": 2}}},
    "capture_to_event_ms": {"p50": 300, "p99": 900},
    "frames_per_s": 36.0,
    "model": MODEL,
}


def test_a_demo_that_saw_nothing_has_a_report_without_figures(tmp_path: Path) -> None:
    fields = report_fields(measured(Log().bus, [a_lesson(tmp_path)]))
    assert fields["behaviours"]["sleeping"] == {  # type: ignore[index]
        "true": 0,
        "found": 0,
        "missed": 0,
        "false": 0,
        "precision": None,
        "recall": None,
        "f1": None,
    }
    assert fields["capture_to_event_ms"] == {"p50": None, "p99": None}
    assert (fields["frames_per_s"], fields["model"]) == (None, "")


def test_a_demo_whose_camera_never_opened_has_missed_every_true_event(tmp_path: Path) -> None:
    result = measured(Log().bus, [a_lesson(tmp_path, hand(1000, 3000))])
    assert (result.counts["hand-raising"].true, result.counts["hand-raising"].missed) == (1, 1)
    cut = measured(Log().bus, [a_lesson(tmp_path, hand(1000, 3000))], whole=False)
    assert cut.counts["hand-raising"].true == 0, "stopped before anything was played, it is asked for nothing"


def test_a_report_says_exactly_what_was_promised(tmp_path: Path) -> None:
    spans = (hand(900, 3100), hand(6000, 8000), hand(15_000, 15_300, pupil=4))
    fields = report_fields(measured(a_played_lesson().bus, [a_lesson(tmp_path, *spans)]))
    assert fields["behaviours"]["hand-raising"] == {  # type: ignore[index]
        "true": 2,
        "found": 1,
        "missed": 1,
        "false": 1,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
    }
    assert fields["cameras"] == {
        CAMERA: {"captured": 200, "in_timelines": 200, "dropped": {}, "clip_frames": 200, "not_yet": {}}
    }
    assert fields["rooms"] == {ROOM: {"coverage": 1.0, "frames": 200, "missing": {}}}
    assert fields["capture_to_event_ms"] == {"p50": 100, "p99": 300}
    assert (fields["frames_per_s"], fields["model"]) == (20.0, MODEL)


def test_truth_is_laid_at_the_start_that_ingest_remembers_and_knows_what_was_found(tmp_path: Path) -> None:
    result = measured(a_played_lesson().bus, [a_lesson(tmp_path, hand(900, 3100), hand(6000, 8000))])
    (panel,) = result.panels
    truths = panel.truths or ()
    assert [(t.started_at_ms - panel.timeline.start_ms, t.found) for t in truths] == [(900, True), (6000, False)]
    assert panel.false_ids == {f"{CAMERA}/0/hand-raising/{panel.timeline.start_ms + 12_000}/0"}


def test_a_demo_cut_short_is_asked_only_for_what_it_played_and_counts_no_clip(tmp_path: Path) -> None:
    spans = (hand(900, 3100), hand(5000, 7000), hand(13_000, 16_000, pupil=2), hand(15_000, 18_000))
    result = measured(a_played_lesson(frames=100).bus, [a_lesson(tmp_path, *spans, frames=300)], whole=False)
    assert (result.counts["hand-raising"].true, result.not_counted) == (2, 1)
    assert result.accounts[0].clip_frames is None


def test_all_four_files_are_left_and_each_line_is_a_canonical_record(tmp_path: Path) -> None:
    log = a_played_lesson()
    log.put(TIMELINES, bucket(2, final=False))
    lessons = [a_lesson(tmp_path / "lessons", hand(900, 3100))]
    files = write_all(measured(log.bus, lessons), log.bus, lessons, tmp_path)
    assert [path.name for path in files] == list(FILES)
    events, buckets = ((tmp_path / name).read_bytes().splitlines() for name in FILES[:2])
    assert [canonical(msgspec.json.decode(line, type=BehaviourEvent)) for line in events] == events
    assert [msgspec.json.decode(line, type=TimelineBucket).final for line in buckets] == [True, True]
    page = (tmp_path / "timeline.html").read_text()
    assert "true, and found" in page
    assert "1 of 1 true ones found" in page
    assert "as long as the room&#x27;s rule asks; 0 did not." in page


def a_lesson_cut_short() -> Log:
    """Of 200 frames captured, 130 were looked at and 126 told of; a hand is still up."""
    log = Log()
    log.put(INGEST_STATE, remembered(200))
    log.put(FRAMES, *(frame(i) for i in range(200)))
    log.put(DETECTIONS, *(detected(i) for i in range(130)))
    log.put(EVENTS, event(1000), event(1000, 3000), event(12_000))
    log.put(TIMELINES, bucket(0), bucket(1, frames=26, due_ms=2_600, final=False))
    return log


def test_frames_of_a_demo_cut_short_are_not_lost_but_not_looked_at_yet(tmp_path: Path) -> None:
    result = measured(a_lesson_cut_short().bus, [a_lesson(tmp_path)], whole=False)
    (account,) = result.accounts
    assert account.in_timelines == result.panels[0].timeline.frames == 126
    assert account.not_yet == {"not looked at": 70, "looked at but not told": 4}
    assert account.balanced
    page = demo_page(result)
    assert "4 looked at but not told, 70 not looked at yet when it was stopped" in page
    assert "what was not told yet is shown without a record" in page
    assert "every captured frame" not in page


def test_a_demo_played_to_its_end_has_lost_what_is_in_no_timeline(tmp_path: Path) -> None:
    (account,) = measured(a_lesson_cut_short().bus, [a_lesson(tmp_path)]).accounts
    assert (account.balanced, account.not_yet) == (False, {})
    assert "every captured frame is in a timeline" in demo_page(measured(a_played_lesson().bus, [a_lesson(tmp_path)]))


def test_the_time_that_a_demo_cut_short_did_not_come_to_is_without_a_record_and_asked_for_nothing(
    tmp_path: Path,
) -> None:
    spans = (hand(900, 3100), hand(11_900, 19_000), hand(13_000, 16_000, pupil=2))
    result = measured(a_lesson_cut_short().bus, [a_lesson(tmp_path, *spans)], whole=False)
    (panel,) = result.panels
    start_ms = panel.timeline.start_ms
    assert [(c.start_ms - start_ms, c.end_ms - start_ms, c.state) for c in panel.timeline.cells] == [
        (0, 10_000, State.ACTIVE),
        (10_000, 12_600, State.ACTIVE),
        (12_600, 20_000, State.UNRECORDED),
    ]
    assert [span.end_or(0) - start_ms for span in panel.timeline.spans] == [3000, 12_600]
    counts = result.counts["hand-raising"]
    assert (counts.true, counts.false) == (1, 0)
    assert "seen 100 % of the recorded time" in demo_page(result)


def test_latency_is_from_capture_to_append_of_started_events_only() -> None:
    log = Log()
    log.put(EVENTS, event(0), at_ms=-250)
    log.put(EVENTS, event(0, 900), at_ms=-9000)
    log.put(EVENTS, event(0, room=ROOM + "5"), at_ms=-70)
    assert capture_to_event_ms(log.bus, [ROOM]) == [250]


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7], 0.5, 7),
        ([7], 0.99, 7),
        ([4, 1, 3, 2], 0.5, 2),
        ([4, 1, 3, 2], 0.99, 4),
        (list(range(1, 101)), 0.99, 99),
        (list(range(1, 102)), 0.99, 100),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[int], share: float, expected: int | None) -> None:
    assert percentile(values, share) == expected


def test_frames_per_second_need_two_moments() -> None:
    log = Log()
    log.put(DETECTIONS, detected(0), detected(1))
    assert frames_per_s(log.bus, [ROOM]) is None
    log.clock.advance(500)
    log.put(DETECTIONS, detected(2))
    assert frames_per_s(log.bus, [ROOM]) == 6.0


def changed(**changes: object) -> dict[str, object]:
    """GOOD with the values at dotted paths changed; a slash in a key is no path."""
    report = json.loads(json.dumps(GOOD))
    for path, value in changes.items():
        *folders, key = path.split("__")
        held = report
        for folder in folders:
            held = held[{"camera": CAMERA, "room": ROOM, "sleeping": "sleeping"}.get(folder, folder)]
        held[key] = value
    return report  # type: ignore[no-any-return]


def test_an_empty_report_is_at_fault_in_everything() -> None:
    told = "\n".join(faults_of({}))
    for what in ("hand-raising", "stand-up", "sleeping", "cameras", "capture_to_event_ms", "frames_per_s", "model"):
        assert what in told


def test_a_report_as_promised_has_no_faults() -> None:
    assert faults_of(GOOD) == []


@pytest.mark.parametrize(
    ("report", "fault"),
    [
        (
            changed(behaviours__sleeping__f1=0.74),
            "behaviours.sleeping.f1 = 0.74; expected at least 0.75 (12 true, 11 found",
        ),
        (changed(behaviours__sleeping__f1=None), "behaviours.sleeping.f1 = None; expected at least 0.75"),
        (changed(behaviours__sleeping__true=9), "behaviours.sleeping.true = 9; expected at least 10"),
        (changed(behaviours__sleeping__missed=2), "behaviours.sleeping.true = 12; expected found + missed"),
        (
            changed(cameras__camera__captured=101),
            f"cameras.{CAMERA}.captured = 101; expected in_timelines + dropped = 98",
        ),
        (changed(cameras__camera__clip_frames=99), f"cameras.{CAMERA}.clip_frames = 99; expected captured = 100"),
        (changed(cameras__camera__clip_frames=None), f"cameras.{CAMERA}.clip_frames = None; expected captured = 100"),
        (changed(rooms__room__coverage=0.94), f"rooms.{ROOM}.coverage = 0.94; expected at least 0.95"),
        (changed(rooms__room__coverage=None), f"rooms.{ROOM}.coverage = None; expected at least 0.95"),
        (changed(rooms__room__missing={"stale": 1}), f"rooms.{ROOM}.missing = {{'stale': 1}}; expected 2 frames"),
        (changed(capture_to_event_ms={"p50": 3}), "capture_to_event_ms = {'p50': 3}; expected p50 and p99"),
        (changed(frames_per_s=0), "frames_per_s = 0; expected a number above 0"),
        (changed(model=""), "model = ''; expected the digest of the net"),
    ],
)
def test_each_figure_that_is_not_as_promised_is_named_with_what_was_expected(
    report: dict[str, object], fault: str
) -> None:
    assert any(told.startswith(fault) for told in faults_of(report)), faults_of(report)


@pytest.fixture
def left(tmp_path: Path) -> Path:
    """The folder of a demo in which all is well."""
    (tmp_path / "report.json").write_text(json.dumps(GOOD))
    for name in ("events.jsonl", "timelines.jsonl"):
        (tmp_path / name).write_text('{"room": "a"}\n')
    (tmp_path / "timeline.html").write_text("<html></html>\n")
    return tmp_path


def test_the_check_exits_with_what_it_found(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = left / "report.json"
    assert main([str(path)]) == 0
    assert main(["--swapped", str(path)]) == 1
    assert "expected 2 that looked" in capsys.readouterr().err
    path.write_text(json.dumps(changed(model="a, b")))
    assert (main(["--swapped", str(path)]), main([str(path)])) == (0, 1)
    path.write_text(json.dumps(changed(model="a, b", capture_to_event_ms={"p50": 100, "p99": 2_500})))
    assert main(["--swapped", str(path)]) == 1
    path.write_text(json.dumps(changed(model="")))
    assert main([str(path)]) == 1
    assert "model = ''; expected the digest" in capsys.readouterr().err
    assert main([str(left / "none.json")]) == 2
    assert "none.json': " in capsys.readouterr().err
    assert main([]) == 2


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("events.jsonl", "", "events.jsonl: no line; expected at least one record"),
        ("timelines.jsonl", '{"room": "a"}\n{"ro', "timelines.jsonl:2: "),
        ("timeline.html", "<html>", "timeline.html: 6 characters; expected a whole HTML page"),
    ],
)
def test_the_check_reads_the_files_beside_the_report(
    left: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, fault: str
) -> None:
    (left / name).write_text(text)
    assert main([str(left / "report.json")]) == 1
    assert fault in capsys.readouterr().err
    (left / name).unlink()
    assert main([str(left / "report.json")]) == 1
    assert name in capsys.readouterr().err
