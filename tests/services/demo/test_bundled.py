"""What is promised of the bundled lessons, read from the clips and their truth; and the release that comes with the package."""

import re

import av

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.demo.bundled import LESSONS, bundled_lessons
from classpulse.demo.truth import judged
from gesturedet.card import load_release

SPLIT_OF_THE_DEMO = range(40_000_000, 50_000_000)
SPLIT_OF = {
    "train": (10_000_000, 20_000_000),
    "val": (20_000_000, 30_000_000),
    "test": (50_000_000, 60_000_000),
}
"""Which seeds each part of a release may come from; thresholds are chosen on `val`, `test` is the exam `rooms`."""


def test_three_lessons_of_the_promised_length_size_and_weight() -> None:
    lessons = bundled_lessons()
    assert len(lessons) == 3
    assert sum(path.stat().st_size for path in LESSONS.iterdir()) < 20_000_000
    for lesson in lessons:
        with av.open(str(lesson.clip)) as clip:
            stream = clip.streams.video[0]
            assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 960, 540)
            assert stream.average_rate is not None
            assert 10 <= stream.average_rate <= 15
            assert clip.duration is not None
            assert 90 <= clip.duration / av.time_base <= 120


def test_the_lessons_show_at_least_ten_events_of_each_behaviour_in_rooms_of_twelve_to_thirty() -> None:
    lessons = bundled_lessons()
    counted = [judged(lesson.truth.spans, DEFAULT_RULES) for lesson in lessons]
    true = {behaviour: sum(len(one[behaviour].counted) for one in counted) for behaviour in DEFAULT_RULES}
    assert set(true) == {"hand-raising", "stand-up", "sleeping"}
    assert min(true.values()) >= 10
    assert all(12 <= lesson.truth.pupils <= 30 for lesson in lessons)


def test_the_lessons_are_of_the_demos_own_seeds_and_the_release_never_saw_those() -> None:
    seeds = {lesson.truth.seed for lesson in bundled_lessons()}
    assert len(seeds) == 3
    assert seeds <= set(SPLIT_OF_THE_DEMO)
    for used, (first, last) in SPLIT_OF.items():
        named = [int(number) for number in re.findall(r"\b\d{8}\b", load_release().card.data_seeds[used])]
        assert named, used
        assert all(first <= seed < last for seed in named), f"{used}: {named}"


def test_the_packaged_release_says_what_it_is_and_how_good() -> None:
    card = load_release().card
    assert card.labels == ("hand-raising", "stand-up", "sleeping")
    assert card.input_hw == (544, 960)
    (exam,) = card.exams
    assert exam.pictures >= 300
    assert all(row.truths >= 100 and (row.ap50 or 0) > 0 for row in exam.behaviours)
    assert [row.threshold for row in exam.behaviours] == list(card.thresholds.values())
