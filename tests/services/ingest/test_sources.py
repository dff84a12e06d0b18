"""The contract of all sources, and how their addresses are read."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from classpulse.errors import BadInput
from classpulse.ingest.sources.base import SOURCES, Picture, Source, SourceEnded, SourceError, read_address, source_of
from tests.services.ingest.making import clip, config_of

Make = Callable[[], Source]
ABSENT = {
    "file": "file:///nowhere/clip.mp4",
    "rtsp": "rtsp://127.0.0.1:1/stream",
    "rtsps": "rtsps://127.0.0.1:1/stream",
    "device": "device:///dev/video99",
    "synth": "synth://?width=0",
}


@pytest.fixture(params=["file", "synth"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    """Makes a recording of 40 pictures at 10 per second."""
    if request.param == "synth":
        return lambda: source_of(config_of("synth://?width=320&height=180&fps=10&duration_ms=4000&pace=none"))
    path = clip(tmp_path / "clip.mp4")
    return lambda: source_of(config_of(path))


def pictures(source: Source, *, after_ms: int = -1) -> list[Picture]:
    """All pictures later than a stream time."""
    source.open(after_ms=after_ms, timeout_ms=5_000)
    found: list[Picture] = []
    try:
        while True:
            picture = source.read()
            if picture is not None and picture.pts_ms > after_ms:
                found.append(picture)
    except SourceEnded:
        return found
    finally:
        source.close()


def test_every_scheme_of_the_table_makes_a_source_of_its_own() -> None:
    assert sorted(ABSENT) == sorted(SOURCES)
    kinds = [type(source_of(config_of(url))) for url in ABSENT.values()]
    assert len(set(kinds)) == len(set(SOURCES.values()))
    assert [kind for kind in kinds if getattr(kind, "__abstractmethods__", None)] == []


@pytest.mark.parametrize("scheme", sorted(SOURCES))
def test_a_source_that_is_not_there_says_why_in_a_word(scheme: str) -> None:
    source = source_of(config_of(ABSENT[scheme]))
    with pytest.raises(SourceError, match="expected") as caught:
        source.open(after_ms=-1, timeout_ms=2_000)
    assert caught.value.reason in ("missing", "refused", "bad_size")
    source.close()


def test_all_pictures_come_in_order_from_time_0(make: Make) -> None:
    assert [picture.pts_ms for picture in pictures(make())] == list(range(0, 4_000, 100))


def test_its_length_and_rate_are_known(make: Make) -> None:
    source = make()
    opened = source.open(after_ms=-1, timeout_ms=5_000)
    source.close()
    assert (opened.duration_ms, opened.frames_per_s) == (4_000, 10.0)


@pytest.mark.parametrize("after_ms", [0, 50, 1_234, 1_900, 3_899])
def test_a_restart_gives_the_same_pictures_as_reading_on(make: Make, after_ms: int) -> None:
    def pixels(found: list[Picture]) -> list[tuple[int, bytes]]:
        return [(p.pts_ms, p.scaled(160, 90).tobytes()) for p in found]

    whole = pixels(pictures(make()))
    assert pixels(pictures(make(), after_ms=after_ms)) == [one for one in whole if one[0] > after_ms]


def test_pictures_have_their_size_before_they_are_converted(make: Make) -> None:
    (first, *_) = pictures(make())
    assert (first.width, first.height) == (320, 180)
    assert first.scaled(160, 90).shape == (90, 160, 3)
    assert first.scaled(320, 180).shape == (180, 320, 3)


def test_pictures_of_different_moments_differ(make: Make) -> None:
    found = [picture.scaled(160, 90).tobytes() for picture in pictures(make())[::4]]
    assert all(one != other for one, other in pairwise(found))


def test_a_source_can_be_opened_again_and_closed_twice(make: Make) -> None:
    source = make()
    assert len(pictures(source)) == len(pictures(source)) == 40
    source.close()
    source.close()


def test_the_end_says_when_it_is(make: Make) -> None:
    source = make()
    source.open(after_ms=3_850, timeout_ms=5_000)
    while (picture := source.read()) is not None and picture.pts_ms < 3_900:
        pass
    with pytest.raises(SourceEnded) as caught:
        source.read()
    assert caught.value.end_ms == 4_000


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/clips/a.mp4", r"source = '/clips/a.mp4': unknown scheme; expected one of file://, rtsp://"),
        ("http://x/a.mp4", r"source = 'http://x/a.mp4': unknown scheme"),
        ("file:///a.mp4?speed=2", r"unknown option 'speed'; .*loop, pace"),
        ("file:///a.mp4?start=monday", r"start = 'monday'; expected a time with its offset"),
        ("file:///a.mp4?start=2026-03-02T08:00:00", r"start = '2026-03-02T08:00:00'; expected a time with its offset"),
        (
            "file:///a.mp4?start=1969-01-01T00:00:00Z",
            r"start = '1969-01-01T00:00:00Z'; expected a time with its offset",
        ),
        ("file:///a.mp4?start=2026-03-02T08:00:00Z&pace=realtime", r"pace = 'realtime'; expected none with start"),
        ("file:///a.mp4?pace=fast", r"pace = 'fast'; expected one of none, realtime"),
        ("file:///a.mp4?loop=1&pace=none", r"pace = 'none'; expected pace=realtime with loop=1"),
        ("synth://?fps=0", r"fps = '0'; expected a whole number from 1 to 240"),
        ("synth://?seed=x", r"seed = 'x'; expected a whole number from 0"),
        ("synth://?pace=none", r"duration_ms is missing; expected duration_ms with pace=none"),
        ("synth://?widht=3", r"unknown option 'widht'; nearest is width"),
        ("device:///dev/video0?size=big", r"size = 'big'; expected one such as 1280x720"),
        ("rtsp://me:secret@host/s", r"source = 'rtsp://me:\*\*\*@host/s': holds a password; expected it in a file"),
    ],
)
def test_a_wrong_address_is_refused_by_key_value_and_expectation(url: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        source_of(config_of(url))
    assert "secret" not in str(caught.value)


def test_a_path_may_hold_blanks_and_question_marks_when_they_are_escaped() -> None:
    address = read_address("file:///clips/my%20clip%3F.mp4?pace=realtime")
    assert address.path == "/clips/my clip?.mp4"
    assert address.options == {"pace": "realtime"}


def test_a_device_is_asked_for_what_its_address_says() -> None:
    from classpulse.ingest.sources.device import DeviceSource

    source = source_of(config_of("device:///dev/video0?size=1280x720&fps=30&format=mjpeg"))
    assert isinstance(source, DeviceSource)
    assert source.options() == {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"}
    plain = source_of(config_of("device:///dev/video0"))
    assert isinstance(plain, DeviceSource)
    assert plain.options() == {}


def test_a_file_that_is_no_device_is_not_opened_as_one() -> None:
    with pytest.raises(
        BadInput, match="device:///etc/passwd': is no device; expected one such as device:///dev/video0"
    ):
        source_of(config_of("device:///etc/passwd"))


def test_drawn_pictures_depend_on_their_seed_alone() -> None:
    def first(seed: int) -> bytes:
        return (
            pictures(source_of(config_of(f"synth://?seed={seed}&duration_ms=100&pace=none")))[0]
            .scaled(64, 36)
            .tobytes()
        )

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_drawn_pictures_that_are_not_wanted_are_skipped() -> None:
    source = source_of(config_of("synth://?fps=10"))
    source.open(after_ms=-1, timeout_ms=1)
    source.skip_to(86_400_000)
    picture = source.read()
    assert picture is not None
    assert picture.pts_ms == 86_400_000
