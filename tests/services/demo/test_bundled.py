"""What is promised of the bundled lessons, read from the clips and their truth; and the release that comes with the package."""

from collections import Counter

import av

from classpulse.demo.bundled import LESSONS, bundled_lessons
from gesturedet.card import load_release

SPLIT_OF_THE_DEMO = range(40_000_000, 50_000_000)


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


def test_the_lessons_show_at_least_ten_of_each_behaviour() -> None:
    true = Counter(span.behaviour for lesson in bundled_lessons() for span in lesson.truth.spans if span.visible)
    assert set(true) == {"hand-raising", "stand-up", "sleeping"}
    assert min(true.values()) >= 10


def test_the_lessons_are_of_the_demos_own_seeds_and_the_release_never_saw_those() -> None:
    seeds = {lesson.truth.seed for lesson in bundled_lessons()}
    assert len(seeds) == 3
    assert seeds <= set(SPLIT_OF_THE_DEMO)
    card = load_release().card
    assert {"train", "val", "test"} <= set(card.data_seeds)
    assert not any("seeds 4" in source for source in card.data_seeds.values())


def test_the_packaged_release_says_what_it_is_and_how_good() -> None:
    card = load_release().card
    assert card.labels == ("hand-raising", "stand-up", "sleeping")
    assert card.input_hw == (256, 448)
    (exam,) = card.exams
    assert exam.pictures >= 300
    assert all(row.truths >= 100 and (row.ap50 or 0) > 0 for row in exam.behaviours)
    assert [row.threshold for row in exam.behaviours] == list(card.thresholds.values())
