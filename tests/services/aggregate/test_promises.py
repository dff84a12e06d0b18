"""The promises of design.md section 8 that aggregate keeps, for stories nobody thought of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.records import (
    CameraState,
    Delivery,
    Dropped,
    FrameDetections,
    Heartbeat,
    Hole,
    Idle,
    Record,
    RoomConfig,
)
from classpulse.records import Told as ToldNoun
from tests.services.aggregate.stories import HAND, ROOM, SLEEP, STAND, A, B, Told, at, beat, dropped, frame, plan, play

CAMERAS = (A, B, f"{ROOM}/c")
BEHAVIOURS = (HAND, STAND, SLEEP, "reading")
SCORES = (1.0, 1.0, 0.1)
"""What every rule believes, twice as often as what none does."""
SLOW = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# Stories: a camera's own, in order, with drops, holes and epochs; some of its time off; it always ends off.


@st.composite
def stories(draw: st.DrawFn, camera: str) -> list[ToldNoun]:
    now_ms = draw(st.integers(0, 20_000))
    told: list[ToldNoun] = []
    for epoch in range(draw(st.integers(1, 3))):
        told += draw(epochs(camera, epoch, now_ms))
        now_ms = _time(told[-1]) + draw(st.sampled_from([0, 1, 900, 30_000, -1_500, -40_000]))
        now_ms = max(0, now_ms)
    last_ms = max(_time(noun) for noun in told)
    told.append(beat(-1, last_ms + 10, "off", camera=camera, epoch=99))
    return told


def somebody() -> st.SearchStrategy[list[tuple[int, str]]]:
    return st.lists(st.tuples(st.integers(0, 9), st.sampled_from(BEHAVIOURS)), max_size=3, unique=True)


@st.composite
def epochs(draw: st.DrawFn, camera: str, epoch: int, start_ms: int) -> list[ToldNoun]:
    interval_ms = draw(st.sampled_from([33, 200, 1_000]))
    now_ms, sequence = start_ms, 0
    people = draw(somebody())
    told: list[ToldNoun] = [beat(-1, now_ms, camera=camera, epoch=epoch)]
    for _ in range(draw(st.integers(0, 25))):
        now_ms += draw(st.sampled_from([interval_ms, interval_ms, interval_ms, 5 * interval_ms, 0, 12_345]))
        kind = draw(st.sampled_from(["frame"] * 6 + ["turn", "drop", "hole", "beat", "silent"]))
        if kind == "turn":
            people = draw(somebody())
        if kind in ("frame", "turn"):
            seen = [at(place, behaviour, draw(st.sampled_from(SCORES))) for place, behaviour in people]
            told.append(frame(sequence, now_ms, *seen, camera=camera, epoch=epoch, interval_ms=interval_ms))
            sequence += 1
        elif kind == "drop":
            count = draw(st.integers(1, 4))
            last_ms = now_ms + (count - 1) * interval_ms
            told.append(dropped(sequence, sequence + count - 1, now_ms, last_ms, "stale", camera=camera, epoch=epoch))
            sequence, now_ms = sequence + count, last_ms
        elif kind == "hole":
            if draw(st.booleans()):
                told.append(Hole(camera=camera, epoch=0, reason="corrupt_jpeg"))
            sequence += draw(st.integers(1, 3))
        else:
            state: CameraState = "silent" if kind == "silent" else "up"
            told.append(beat(sequence - 1, now_ms, state, camera=camera, epoch=epoch))
    told.append(beat(sequence - 1, now_ms + 5, camera=camera, epoch=epoch))
    return told


def _time(noun: ToldNoun) -> int:
    match noun:
        case FrameDetections():
            return noun.captured_at_ms
        case Dropped():
            return noun.last_ms
        case Heartbeat():
            return noun.at_ms
    return 0


@st.composite
def rooms(draw: st.DrawFn) -> list[list[ToldNoun]]:
    return [draw(stories(camera)) for camera in CAMERAS[: draw(st.integers(1, 3))]]


def interleaved(told: Sequence[Sequence[ToldNoun]], turns: Sequence[int]) -> list[Record]:
    """All stories in one log, each in its own order; `turns` says whose turn it is while several have something left."""
    places = [0] * len(told)
    log: list[Record] = []
    while left := [i for i, story in enumerate(told) if places[i] < len(story)]:
        which = left[turns[len(log) % len(turns)] % len(left)]
        log.append(told[which][places[which]])
        places[which] += 1
    return log


def planned(told: Sequence[Sequence[ToldNoun]], views: str = "overlapping") -> Record:
    config = RoomConfig(room=ROOM, views="disjoint" if views == "disjoint" else "overlapping")
    return plan(*CAMERAS[: len(told)], config=config)


TURNS = st.lists(st.integers(0, 2), min_size=1, max_size=12)


def test_no_story_gives_no_bytes() -> None:
    assert play([planned([[]])]).bytes() == []


# Promise 2a: the same bytes, whatever the batching, duplication, interleaving and restarts.


@given(
    told=rooms(),
    views=st.sampled_from(["overlapping", "disjoint"]),
    turns=TURNS,
    batches=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    restarts=st.sets(st.integers(0, 60), max_size=8),
    data=st.data(),
)
@SLOW
def test_the_same_bytes_for_any_batching_duplication_interleaving_and_restart(
    told: list[list[ToldNoun]],
    views: str,
    turns: list[int],
    batches: list[int],
    restarts: set[int],
    data: st.DataObject,
) -> None:
    expected = play([planned(told, views), *interleaved(told, [0])]).bytes()
    log = interleaved(told, turns)
    twice = _again(log, data)
    found = play([planned(told, views), *twice], batches=batches, restarts=restarts)
    assert found.bytes() == expected
    assert len({event.id for event in found.ended}) == len(found.ended)


def _again(log: list[Record], data: st.DataObject) -> list[Record]:
    """The log with stretches of it told again behind themselves, as a resent batch is; a Hole has no place of its own."""
    told = list(log)
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(told)))
        end = min(len(told), start + data.draw(st.integers(1, 12)))
        again = [noun for noun in told[start:end] if not isinstance(noun, Hole)]
        behind = min(len(told), end + data.draw(st.integers(0, 20)))
        told[behind:behind] = again
    return told


@given(
    told=rooms(),
    turns=TURNS,
    cuts=st.lists(st.tuples(st.integers(0, 80), st.integers(0, 4), st.integers(0, 120_000)), max_size=4),
    batches=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    restarts=st.sets(st.integers(0, 60), max_size=8),
)
@SLOW
def test_silence_and_plans_are_part_of_the_log_so_batching_and_restarts_change_nothing(
    told: list[list[ToldNoun]],
    turns: list[int],
    cuts: list[tuple[int, int, int]],
    batches: list[int],
    restarts: set[int],
) -> None:
    log = interleaved(told, turns)
    for place, kind, at_ms in cuts:
        log.insert(min(place, len(log)), _said_by_the_loop(kind, at_ms))
    expected = play(log)
    found = play(log, batches=batches, restarts=restarts)
    assert found.bytes() == expected.bytes()
    assert conserved(found) == conserved(expected)


def _said_by_the_loop(kind: int, at_ms: int) -> Record:
    live: Delivery = "live"
    if kind == 0:
        return Idle(room=ROOM, camera=A, at_ms=at_ms)
    if kind == 1:
        return plan(A, B, at_ms=at_ms, delivery=live)
    if kind == 2:
        return plan(B, at_ms=at_ms, delivery=live, bucket_ms=7_000)
    if kind == 3:
        return plan(at_ms=at_ms)
    return plan(A, at_ms=at_ms, bucket_ms=15_000, config=RoomConfig(room=ROOM, views="disjoint"))


# Promise 1: captured = in timelines + missing, from the log alone.


def conserved(told: Told) -> tuple[int, Counter[str]]:
    missing: Counter[str] = Counter()
    for bucket in told.latest:
        missing.update(bucket.missing)
    return sum(bucket.frames for bucket in told.latest), missing


def captured(told: Sequence[Sequence[ToldNoun]]) -> int:
    """Last sequence + 1 over all epochs of all cameras."""
    last: dict[tuple[str, int], int] = {}
    for story in told:
        for noun in story:
            match noun:
                case FrameDetections():
                    known = noun.sequence
                case Dropped() | Heartbeat():
                    known = noun.last_sequence
                case _:
                    continue
            key = (noun.camera, noun.epoch)
            last[key] = max(last.get(key, -1), known)
    return sum(sequence + 1 for sequence in last.values())


@given(told=rooms(), turns=TURNS, restarts=st.sets(st.integers(0, 60), max_size=4), expected=st.integers(0, 3))
@SLOW
def test_every_captured_frame_is_in_a_timeline_or_missing_for_a_reason(
    told: list[list[ToldNoun]], turns: list[int], restarts: set[int], expected: int
) -> None:
    found = play(
        [plan(*CAMERAS[: min(expected, len(told))]), *interleaved(told, turns)], batches=[7], restarts=restarts
    )
    frames, missing = conserved(found)
    assert frames == sum(isinstance(noun, FrameDetections) for story in told for noun in story)
    assert missing["stale"] == sum(
        n.last_sequence + 1 - n.first_sequence for s in told for n in s if isinstance(n, Dropped)
    )
    assert frames + missing.total() == captured(told)


@given(told=rooms(), late=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), max_size=5))
@SLOW
def test_what_a_superseded_epoch_tells_late_is_conserved_too(
    told: list[list[ToldNoun]], late: list[tuple[int, int]]
) -> None:
    zombie: list[ToldNoun] = [frame(sequence, 1_000, camera=A, epoch=epoch) for epoch, sequence in late]
    frames, missing = conserved(play([planned(told), *interleaved(told, [0]), *zombie]))
    assert frames + missing.total() == captured([*told, zombie])


@given(told=rooms(), turns=TURNS, views=st.sampled_from(["overlapping", "disjoint"]))
@SLOW
def test_no_bucket_claims_more_than_its_time(told: list[list[ToldNoun]], turns: list[int], views: str) -> None:
    found = play([planned(told, views), *interleaved(told, turns)])
    for bucket in found.buckets:
        length_ms = bucket.end_ms - bucket.start_ms
        assert 0 <= bucket.observed_ms <= bucket.due_ms <= length_ms == 10_000
        assert bucket.start_ms % 10_000 == 0
        for totals in bucket.behaviours.values():
            assert totals.person_ms <= totals.peak * bucket.observed_ms or views == "disjoint"
    assert len({b.start_ms for b in found.finals}) == len(found.finals), "final once"
    order = [(b.start_ms, b.final, b.revision) for b in found.buckets]
    for start_ms in {b.start_ms for b in found.buckets}:
        mine = [(final, revision) for start, final, revision in order if start == start_ms]
        assert mine == sorted(mine), "revisions rise, and nothing follows the final one"


# Promise 6: 1 to 30 frames a second give the same events.


@dataclass(frozen=True)
class Truth:
    """When somebody at one place did something; `pause` is a stretch in between that nobody could see it."""

    place: int
    behaviour: str
    start_ms: int
    end_ms: int
    pause: range = range(0)

    def seen_at(self, now_ms: int) -> bool:
        return self.start_ms <= now_ms < self.end_ms and now_ms not in self.pause


def truths(least_step_ms: int) -> st.SearchStrategy[list[Truth]]:
    """Spans and gaps that clear their rule by two sampling intervals, either way."""

    @st.composite
    def one_place(draw: st.DrawFn, place: int) -> list[Truth]:
        behaviour = draw(st.sampled_from([HAND, STAND, SLEEP]))
        rule, clear = DEFAULT_RULES[behaviour], 2 * least_step_ms
        now_ms, found = draw(st.integers(0, 3_000)), []
        for _ in range(draw(st.integers(0, 2))):
            too_short = rule.least_duration_ms - clear
            lasts = draw(st.sampled_from(["long", "short"])) if too_short > 0 else "long"
            least = rule.least_duration_ms + clear
            length = draw(st.integers(least, least + 3_000) if lasts == "long" else st.integers(1, too_short))
            pause = range(0)
            if lasts == "long" and rule.longest_gap_ms > clear and length >= 2 * clear and draw(st.booleans()):
                pause_ms = draw(st.integers(1, rule.longest_gap_ms - clear))
                paused_ms = now_ms + draw(st.integers(clear, length - clear))
                pause, length = range(paused_ms, paused_ms + pause_ms), length + pause_ms
            found.append(Truth(place, behaviour, now_ms, now_ms + length, pause))
            gap = rule.longest_gap_ms + clear
            now_ms += length + draw(st.integers(gap, gap + 2_000))
        return found

    return st.tuples(*(one_place(place) for place in (0, 3, 6))).map(
        lambda groups: [t for group in groups for t in group]
    )


def sampled(truth: Sequence[Truth], fps: int, phase_ms: int) -> list[Record]:
    """What a detector that never errs says of this truth at k / fps seconds."""
    last_ms = max((t.end_ms for t in truth), default=0) + 1_000
    interval_ms = round(1_000 / fps)
    nouns: list[Record] = []
    sequence = 0
    while (now_ms := phase_ms + sequence * 1_000 // fps) <= last_ms:
        seen = [at(t.place, t.behaviour) for t in truth if t.seen_at(now_ms)]
        nouns.append(frame(sequence, now_ms, *seen, interval_ms=interval_ms))
        sequence += 1
    return [*nouns, beat(sequence - 1, now_ms, "off")]


def _long_enough(truth: Sequence[Truth]) -> list[Truth]:
    return sorted(
        (t for t in truth if t.end_ms - t.start_ms >= DEFAULT_RULES[t.behaviour].least_duration_ms),
        key=lambda t: (t.behaviour, t.start_ms, t.place),
    )


@given(data=st.data(), fps=st.integers(1, 30), phase=st.floats(0, 1, exclude_max=True))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_one_to_thirty_frames_a_second_give_the_same_events(data: st.DataObject, fps: int, phase: float) -> None:
    interval_ms = -(-1_000 // fps)
    truth = data.draw(truths(interval_ms))
    found = play(sampled(truth, fps, int(phase * interval_ms)), batches=[10_000]).ended
    for behaviour in (HAND, STAND, SLEEP):
        wanted = [t for t in _long_enough(truth) if t.behaviour == behaviour]
        events = [e for e in found if e.behaviour == behaviour]
        assert len(events) == len(wanted)
        starts = zip(sorted(e.started_at_ms for e in events), sorted(t.start_ms for t in wanted), strict=True)
        assert all(0 <= got - true <= interval_ms for got, true in starts)
        ends = zip(sorted(e.ended_at_ms or 0 for e in events), sorted(t.end_ms for t in wanted), strict=True)
        assert all(0 <= got - true <= interval_ms for got, true in ends)


def test_weak_stretches_belong_to_an_event_and_make_none_at_every_rate() -> None:
    strong, all_of_it = Truth(0, HAND, 3_600, 7_200), Truth(0, HAND, 1_100, 9_450)
    weak = Truth(5, HAND, 1_000, 9_000)
    for fps in (1, 2, 3, 7, 10, 24, 25, 29, 30):
        interval_ms = round(1_000 / fps)
        told: list[Record] = []
        for sequence in range(12 * fps):
            now_ms = sequence * 1_000 // fps
            scores = [(0, 1.0 if strong.seen_at(now_ms) else 0.1)] * all_of_it.seen_at(now_ms)
            seen = [at(place, HAND, score) for place, score in [*scores, *[(5, 0.1)] * weak.seen_at(now_ms)]]
            told.append(frame(sequence, now_ms, *seen, interval_ms=interval_ms))
        ((_, start_ms, end_ms),) = play([*told, beat(12 * fps - 1, 12_000, "off")], batches=[10_000]).spans
        assert 0 <= start_ms - all_of_it.start_ms <= interval_ms + 1, fps
        assert end_ms is not None
        assert 0 <= end_ms - all_of_it.end_ms <= interval_ms + 1, fps


def test_a_truth_by_hand_at_every_rate() -> None:
    truth = [Truth(0, HAND, 3_100, 7_450), Truth(0, HAND, 12_000, 15_000), Truth(5, SLEEP, 1_000, 41_777)]
    for fps in (1, 2, 3, 7, 10, 24, 25, 29, 30):
        interval_ms = -(-1_000 // fps)
        spans = sorted(play(sampled(truth, fps, 0), batches=[10_000]).spans, key=lambda s: s[1])
        assert [s[0] for s in spans] == [SLEEP, HAND, HAND], fps
        for (_, start_ms, end_ms), true in zip(spans, sorted(truth, key=lambda t: t.start_ms), strict=True):
            assert 0 <= start_ms - true.start_ms <= interval_ms, fps
            assert end_ms is not None
            assert 0 <= end_ms - true.end_ms <= interval_ms, fps
