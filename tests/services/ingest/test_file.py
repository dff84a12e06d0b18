"""Recordings, whole and broken, with and without an index."""

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import av
import pytest

from classpulse.codec import MAX_PIXELS
from classpulse.ingest.sources.base import Picture, Source, SourceEnded, SourceError, source_of
from classpulse.ingest.sources.file import Unbroken
from tests.services.ingest.making import clip, config_of, count_of, faststart
from tests.support import ROOT

REFUSED_BYTES = 30_000_000
"""A recording that is refused takes less memory than this; a picture of so many pixels takes more."""


def source_at(path: Path, **more: object) -> Source:
    return source_of(config_of(path, **more))  # type: ignore[arg-type]


def read_all(source: Source, *, after_ms: int = -1) -> tuple[list[Picture], str]:
    """All pictures later than a stream time, and how it ended."""
    found: list[Picture] = []
    try:
        source.open(after_ms=after_ms, timeout_ms=5_000)
        while True:
            picture = source.read()
            if picture is not None and picture.pts_ms > after_ms:
                found.append(picture)
    except SourceEnded as end:
        return found, f"over at {end.end_ms}"
    except SourceError as error:
        return found, str(error)
    finally:
        source.close()


def times(source: Source, *, after_ms: int = -1) -> list[int]:
    return [picture.pts_ms for picture in read_all(source, after_ms=after_ms)[0]]


def test_a_file_of_zero_bytes_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert read_all(source_at(tmp_path / "a.mp4")) == (
        [],
        f"empty: {tmp_path}/a.mp4 has 0 bytes; expected a video file",
    )


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    _, said = read_all(source_at(tmp_path / "a.mp4"))
    assert said.startswith(f"missing: {tmp_path}/a.mp4: No such file or directory")


@pytest.mark.parametrize(
    "content", [b"x", b"hello, world\n" * 1_000, b"\x00" * 100_000, b"\x89PNG\r\n\x1a\n" + b"\x00" * 64]
)
def test_what_is_no_video_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(content)
    _, said = read_all(source_at(tmp_path / "a.mp4"))
    assert said.startswith(("not_video", "bad_size", "damaged"))
    assert "expected" in said


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    _, said = read_all(source_at(tmp_path))
    assert said.startswith(f"not_video: {tmp_path}: Is a directory")


def test_sound_without_pictures_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("pcm_s16le", rate=8_000)
        stream.layout = "mono"
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate, frame.pts = 8_000, 0
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    assert "has no video stream; expected one" in read_all(source_at(path))[1]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi"])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_every_picture_of_a_clip_comes_once_however_it_is_kept(tmp_path: Path, name: str, b_frames: int) -> None:
    path = clip(tmp_path / name, b_frames=b_frames)
    assert count_of(path) == 40
    found, said = read_all(source_at(path))
    assert [picture.pts_ms for picture in found] == list(range(0, 4_000, 100))
    assert said == "over at 4000"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi", "clip.h264"])
@pytest.mark.parametrize("b_frames", [0, 3])
def test_a_restart_anywhere_gives_exactly_the_rest(tmp_path: Path, name: str, b_frames: int) -> None:
    path = clip(tmp_path / name, b_frames=b_frames, gop=8)
    whole = [(p.pts_ms, p.scaled(160, 90).tobytes()) for p in read_all(source_at(path))[0]]
    assert len(whole) == 40
    for after_ms in (0, 700, 1_599, 1_600, 2_450, 3_800):
        rest = [(p.pts_ms, p.scaled(160, 90).tobytes()) for p in read_all(source_at(path), after_ms=after_ms)[0]]
        assert rest == [one for one in whole if one[0] > after_ms]


def test_a_restart_late_in_an_indexed_clip_does_not_decode_all_of_it(tmp_path: Path) -> None:
    source = source_at(clip(tmp_path / "clip.mp4", frames=200))
    source.open(after_ms=15_000, timeout_ms=5_000)
    first = source.read()
    source.close()
    assert first is not None
    assert 13_000 <= first.pts_ms <= 15_000


def test_a_clip_without_timestamps_is_timed_by_its_rate(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.h264", options={"x264-params": "aud=1"})
    found, _ = read_all(source_at(path))
    steps = {b.pts_ms - a.pts_ms for a, b in itertools.pairwise(found)}
    assert len(found) == count_of(path)
    assert min(steps) > 0


def test_joined_transport_streams_go_on_where_the_first_ended(tmp_path: Path) -> None:
    one, two = clip(tmp_path / "1.ts", frames=20), clip(tmp_path / "2.ts", frames=20)
    both = tmp_path / "both.ts"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    found = times(source_at(both))
    assert len(found) == count_of(both)
    assert found == sorted(set(found))
    assert found[-1] < 4_500


def test_unbroken_time_fills_what_is_absent_and_closes_leaps() -> None:
    unbroken = Unbroken(100)
    stamps = [0, 100, None, 300, 50, 150, 90_000, 90_100]
    assert [unbroken.next(pts) for pts in stamps] == [0, 100, 200, 300, 400, 500, 600, 700]


def test_what_decodes_of_a_clip_that_was_cut_is_given_and_then_it_is_damaged(tmp_path: Path) -> None:
    whole = faststart(clip(tmp_path / "clip.mp4", frames=100))
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    found, said = read_all(source_at(cut))
    assert 40 <= len(found) < 70
    assert [picture.pts_ms for picture in found] == list(range(0, 100 * len(found), 100))
    assert said == f"damaged: {cut} ends after {100 * len(found)} ms; expected 10000 ms"


def test_a_cut_matroska_is_damaged_too(tmp_path: Path) -> None:
    whole = clip(tmp_path / "clip.mkv", frames=100)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    found, said = read_all(source_at(cut))
    assert 30 <= len(found) < 70
    assert said.startswith(f"damaged: {cut} ends after ")
    assert said.endswith("expected 10000 ms")


def test_a_clip_whose_index_was_cut_off_cannot_be_opened(tmp_path: Path) -> None:
    whole = clip(tmp_path / "clip.mp4")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert read_all(source_at(cut))[1].startswith(f"not_video: {cut}")


def test_pictures_that_cannot_be_decoded_are_left_out(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", gop=1, options={"x264-params": "repeat-headers=0"})
    with av.open(str(path)) as container:
        victims = [(p.pos, p.size) for p in container.demux(video=0) if p.size][10:13]
    data = bytearray(path.read_bytes())
    for position, size in victims:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(bytes(data))
    found, said = read_all(source_at(path))
    assert 37 <= len(found) < 40
    assert said == "over at 4000"


def test_keyframes_alone_are_decoded_where_they_are_enough(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", frames=100, gop=10, b_frames=2)
    assert times(source_at(path, fps=0.5)) == list(range(0, 10_000, 1_000))
    assert len(times(source_at(path, fps=1.0))) == 100, "one keyframe an interval could leave holes in coverage"


def test_keyframes_alone_are_the_same_pictures_as_all_give(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.mp4", frames=100, gop=10, b_frames=2)
    whole = {p.pts_ms: p.scaled(160, 90).tobytes() for p in read_all(source_at(path, fps=30))[0]}
    for picture in read_all(source_at(path, fps=0.5))[0]:
        assert picture.scaled(160, 90).tobytes() == whole[picture.pts_ms]
    assert times(source_at(path, fps=0.5), after_ms=4_000) == [5_000, 6_000, 7_000, 8_000, 9_000]


def test_pictures_before_the_wanted_time_are_not_decoded(tmp_path: Path) -> None:
    source = source_at(clip(tmp_path / "clip.avi", codec="mjpeg", frames=100), fps=1.0)
    source = source_at(clip(tmp_path / "clip.mp4", frames=100, gop=2), fps=1.0)
    source.open(after_ms=-1, timeout_ms=5_000)
    found = []
    try:
        while True:
            picture = source.read()
            assert picture is not None
            found.append(picture.pts_ms)
            source.skip_to(picture.pts_ms + 1_000)
    except SourceEnded:
        source.close()
    assert found == list(range(0, 10_000, 1_000))


def test_a_picture_of_a_hundred_megapixels_is_refused_before_memory_is_taken_for_it(tmp_path: Path) -> None:
    path = still(tmp_path / "huge.mov", 12_000, 9_000)
    assert count_of(path) == 1, "without a limit FFmpeg decodes it"
    found = read_apart(path)
    assert found.pictures == 0
    assert found.said.startswith(f"bad_size: {path}")
    assert found.said.endswith(f"expected 1 to {MAX_PIXELS} pixels")
    assert found.grown_bytes < REFUSED_BYTES


def test_a_picture_of_forty_megapixels_is_taken_and_so_is_memory(tmp_path: Path) -> None:
    """The test above would see it if memory were taken there."""
    found = read_apart(still(tmp_path / "large.mov", 8_000, 5_000))
    assert found.pictures == 1
    assert found.grown_bytes > REFUSED_BYTES


def still(path: Path, width: int, height: int) -> Path:
    """A recording of one grey picture."""
    with av.open(str(path), "w") as output:
        stream = output.add_stream("png", rate=5)
        stream.width, stream.height, stream.pix_fmt = width, height, "gray"
        stream.codec_context.thread_count = 1
        frame = av.VideoFrame(width, height, "gray")
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        frame.pts = 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


class Apart(NamedTuple):
    """What a process of its own found in a recording, and what that took."""

    pictures: int
    said: str
    grown_bytes: int


def read_apart(path: Path) -> Apart:
    """Read a recording in a process of its own."""
    command = [sys.executable, "-m", "tests.services.ingest.peak", str(path)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
    return Apart(**json.loads(done.stdout))


def test_paced_and_looped_recordings_say_so() -> None:
    plain, paced, looped = (source_of(config_of(f"file:///a.mp4{more}")) for more in ("", "?pace=realtime", "?loop=1"))
    assert (plain.paced, plain.loops) == (False, False)
    assert (paced.paced, paced.loops) == (True, False)
    assert (looped.paced, looped.loops) == (True, True)


def test_a_playlist_cannot_make_a_file_reach_into_the_network(tmp_path: Path) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n")
    found, said = read_all(source_at(path))
    assert found == []
    assert said.startswith(("not_video", "failed", "damaged"))
