"""`gesturedet detect`, really run: on pictures of one grey, where the fake net's answer is known, and on a real clip."""

import functools
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from tests.model.gesturedet.running import Run
from tests.services.fake_release import make_release
from tests.services.ingest.making import faststart
from tests.support import ROOT, require

CLIP = Path(os.environ.get("CLASSPULSE_SHARED", ROOT.parent / "shared")) / "data" / "person-walking.mp4"

BRIGHT, DIM, DARK = 255, 160, 0
"""A raised hand with a score of 1, with one of 0.087 (below the card's 0.5), and none."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("detect") / "release"
    make_release(folder)
    return folder


def picture(path: Path, level: int, size_hw: tuple[int, int] = (90, 160)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size_hw, 3), level, dtype=np.uint8))
    return path


def video(path: Path, levels: list[int], size_hw: tuple[int, int] = (90, 160), fps: int = 10) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width, stream.pix_fmt = *size_hw, "yuv420p"
        for number, level in enumerate(levels):
            frame = av.VideoFrame.from_ndarray(np.full((*size_hw, 3), level, dtype=np.uint8), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def frames(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


def times(path: Path) -> list[float | None]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_a_folder_without_pictures_is_refused(run: Run, release: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("none")
    ran = run("detect", tmp_path, "--model", release)
    assert ran.code == 2
    assert ran.err.startswith(f"error: {tmp_path}: no picture in it, expected names ending in .bmp")


def test_a_picture_without_behaviour_is_a_table_without_rows(run: Run, release: Path, tmp_path: Path) -> None:
    ran = run("detect", picture(tmp_path / "dark.png", DARK), "--model", release)
    assert ran.code == 0
    assert ran.out.split() == ["picture", "time", "behaviour", "score", "x0", "y0", "x1", "y1"]
    assert ran.err == "1 picture: nothing found\n"


def test_a_picture_becomes_a_row_and_an_annotated_picture(run: Run, release: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "seen.png"
    ran = run("detect", picture(tmp_path / "bright.png", BRIGHT), "--model", release, "--out", out)
    assert ran.code == 0
    assert ran.out.splitlines()[1].split()[:3] == ["bright.png", "hand-raising", "1.00"]
    assert ran.err == "1 picture: hand-raising 1\n"
    assert (cv2.imread(str(out)) != BRIGHT).any()


def test_json_is_one_line_a_picture_with_boxes_in_its_pixels(run: Run, release: Path, tmp_path: Path) -> None:
    ran = run("detect", picture(tmp_path / "bright.png", BRIGHT, (300, 500)), "--model", release, "--json")
    (said,) = lines(ran.out)
    (found,) = said.pop("detections")  # type: ignore[misc]
    assert said == {"picture": "bright.png", "at_ms": None, "width": 500, "height": 300}
    assert found["label"] == "hand-raising"
    x0, y0, x1, y1 = found["box_xyxy"]
    assert 0 <= x0 < x1 < 250
    assert 0 <= y0 < y1 < 150


def test_a_least_score_asks_for_what_the_card_leaves_out(run: Run, release: Path, tmp_path: Path) -> None:
    dim = picture(tmp_path / "dim.png", DIM)
    assert "nothing found" in run("detect", dim, "--model", release).err
    assert "hand-raising 1" in run("detect", dim, "--model", release, "--min-score", "0.05").err
    assert run("detect", dim, "--model", release, "--min-score", "0").code == 2


def test_a_folders_unreadable_picture_is_named_counted_and_left_out(run: Run, release: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    picture(folder / "b.png", BRIGHT)
    picture(folder / "c.jpg", DARK)
    (folder / "a.jpg").write_bytes(b"\xff\xd8 no picture")
    out = tmp_path / "out"
    ran = run("detect", folder, "--model", release, "--json", "--out", out)
    assert ran.code == 0
    assert [said["picture"] for said in lines(ran.out)] == ["b.png", "c.jpg"]
    assert f"left out: {folder / 'a.jpg'}: 13 bytes are not a readable picture" in ran.err
    assert ran.err.endswith("2 pictures, 1 left out: hand-raising 1\n")
    assert sorted(path.name for path in out.iterdir()) == ["b.png", "c.jpg"]


def test_a_folder_of_nothing_but_unreadable_pictures_is_an_error(run: Run, release: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    ran = run("detect", tmp_path, "--model", release)
    assert ran.code == 2
    assert ran.err.splitlines()[-1] == f"error: source: '{tmp_path}' holds no readable picture, expected at least one"


def test_a_voc_folder_is_looked_at_through_its_pictures(run: Run, release: Path, tmp_path: Path) -> None:
    picture(tmp_path / "JPEGImages" / "a.jpg", BRIGHT)
    assert run("detect", tmp_path, "--model", release).err == "1 picture: hand-raising 1\n"
    ran = run("detect", tmp_path, "--model", release, "--out", tmp_path / "JPEGImages")
    assert "is what is looked at, expected another place" in ran.err


def test_a_video_is_told_picture_by_picture_in_its_own_time(run: Run, release: Path, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4", [DARK, BRIGHT, BRIGHT])
    said = lines(run("detect", clip, "--model", release, "--json").out)
    assert [one["at_ms"] for one in said] == [0, 100, 200]
    assert [len(one["detections"]) for one in said] == [0, 1, 1]  # type: ignore[arg-type]
    assert "0.10 s  hand-raising" in run("detect", clip, "--model", release).out


def test_a_video_that_is_cut_off_is_told_as_far_as_it_goes(run: Run, release: Path, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4", [DARK, BRIGHT] * 30)
    whole = run("detect", clip, "--model", release, "--json")
    moved = faststart(clip)
    encoded = moved.read_bytes()
    moved.write_bytes(encoded[: len(encoded) - 400])

    ran = run("detect", moved, "--model", release, "--json")

    assert ran.code == 0
    assert 0 < len(lines(ran.out)) < len(lines(whole.out)) == 60
    assert f"{moved.name} ends after {len(lines(ran.out))} of 60 pictures" in ran.err
    assert "ends after" not in whole.err


def test_an_annotated_video_has_the_pictures_of_its_source(run: Run, release: Path, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4", [DARK] * 5 + [BRIGHT] * 5)
    assert run("detect", clip, "--model", release, "--out", tmp_path / "seen.mp4").code == 0
    plain, marked = frames(clip), frames(tmp_path / "seen.mp4")
    assert [frame.shape for frame in marked] == [frame.shape for frame in plain]
    differs = [int(np.abs(a.astype(int) - b).max()) > 60 for a, b in zip(plain, marked, strict=True)]
    assert differs == [False] * 5 + [True] * 5
    assert times(tmp_path / "seen.mp4") == times(clip) == pytest.approx([number / 10 for number in range(10)])
    assert not list(tmp_path.glob(".*")), "no half of a video is left"


def test_odd_sizes_become_even_in_a_video(run: Run, release: Path, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "odd.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 91, 161, "bgr0"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((91, 161, 3), np.uint8), format="bgr24")))
        container.mux(stream.encode(None))
    assert run("detect", tmp_path / "odd.mkv", "--model", release, "--out", tmp_path / "seen").code == 0
    assert frames(tmp_path / "seen" / "odd.mp4")[0].shape == (92, 162, 3)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("absent.jpg", None, "absent.jpg' is not there, expected a picture, a folder, a video or a camera"),
        ("a.jpg", b"", "a.jpg: 0 bytes are not a readable picture"),
        ("a.mp4", b"no video at all", "source: 'a.mp4': Invalid data found when processing input, expected a picture"),
    ],
)
def test_what_cannot_be_looked_at_is_one_line_and_exit_code_2(
    run: Run, release: Path, tmp_path: Path, name: str, data: bytes | None, says: str
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    ran = run("detect", tmp_path / name, "--model", release)
    assert ran.code == 2
    assert says in ran.err
    assert (len(ran.err.splitlines()), ran.out) == (1, "")


@pytest.mark.parametrize(
    ("source", "out", "says"),
    [
        ("folder", "out.png", "is no folder, expected one for the pictures of a folder"),
        ("clip.mp4", "out.png", "does not suit a video, expected a folder or .mkv, .mov, .mp4"),
        ("folder/a.png", "out.mp4", "does not suit a picture, expected a folder or .bmp"),
        ("folder/a.png", "folder/a.png", "is what is looked at, expected another place"),
        ("folder", "folder", "is what is looked at, expected another place"),
    ],
)
def test_an_output_that_does_not_suit_the_source_is_refused_before_a_net_is_loaded_or_anything_is_written(
    run: Run, tmp_path: Path, source: str, out: str, says: str
) -> None:
    picture(tmp_path / "folder" / "a.png", BRIGHT)
    video(tmp_path / "clip.mp4", [DARK])
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    ran = run("detect", tmp_path / source, "--model", tmp_path / "absent", "--out", tmp_path / out)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A folder behind a URL: to PyAV a stream like a camera's."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_stream_is_looked_at_by_its_url_and_its_password_is_not_told(
    run: Run, release: Path, tmp_path: Path, served: str
) -> None:
    video(tmp_path / "clip.mp4", [BRIGHT, BRIGHT])
    ran = run("detect", f"http://me:secret@{served}/clip.mp4", "--model", release, "--json")
    assert ran.code == 0
    assert {said["picture"] for said in lines(ran.out)} == {f"http://{served}/clip.mp4"}
    ran = run("detect", f"http://me:secret@{served}/absent.mp4", "--model", release)
    assert ran.code == 2
    assert "secret" not in ran.err


def test_ctrl_c_ends_a_camera_and_keeps_the_video(release: Path, tmp_path: Path) -> None:
    clip = video(tmp_path / "clip.mp4", [BRIGHT] * 3000)
    # As JSON 3000 lines are more than a pipe holds: it cannot be done before the signal.
    arguments = ["detect", str(clip), "--model", str(release), "--out", str(tmp_path / "seen.mp4"), "--json"]
    code = f"from gesturedet.cli import main; main({arguments!r})"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(50):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.startswith("interrupted\n")
    seen = int(err.splitlines()[-1].split()[0])
    assert 49 <= seen < 3000
    assert seen - 1 <= len(frames(tmp_path / "seen.mp4")) <= seen


def test_a_real_clip_becomes_a_video_and_lines_of_json_with_the_released_model(run: Run, tmp_path: Path) -> None:
    require("shared-data", CLIP.is_file(), f"{CLIP} holds somebody walking")
    short = tmp_path / "short.mp4"
    with av.open(str(CLIP)) as given, av.open(str(short), "w") as made:
        stream = given.streams.video[0]
        copied = made.add_stream_from_template(stream)
        for number, packet in enumerate(given.demux(stream)):
            if number == 20 or packet.dts is None:
                break
            packet.stream = copied
            made.mux(packet)
    ran = run("detect", short, "--json", "--min-score", "0.01", "--out", tmp_path / "out")
    assert ran.code == 0
    said = lines(ran.out)
    assert len(said) == len(frames(tmp_path / "out" / "short.mp4")) == len(frames(short)) >= 15
    assert any(one["detections"] for one in said)
    for one in said:
        for found in one["detections"]:  # type: ignore[attr-defined]
            x0, y0, x1, y1 = found["box_xyxy"]
            assert 0 <= x0 < x1 <= one["width"]  # type: ignore[operator]
            assert 0 <= y0 < y1 <= one["height"]  # type: ignore[operator]
            assert found["score"] >= 0.01
