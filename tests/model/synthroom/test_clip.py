from pathlib import Path

import av
import numpy as np
import pytest

from synthroom.clip import count_frames, open_clip
from synthroom.renderer import U8


def pictures(count: int) -> list[U8]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(count)]


def write(path: Path, count: int) -> None:
    with open_clip(path, width=64, height=48, fps=12) as writer:
        for picture in pictures(count):
            writer.add(picture)


@pytest.mark.parametrize("count", [1, 2, 25, 61])
def test_a_clip_holds_exactly_its_frames(tmp_path: Path, count: int) -> None:
    write(tmp_path / "a.mp4", count)
    assert count_frames(tmp_path / "a.mp4") == count


def test_frames_are_a_twelfth_of_a_second_apart(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 24)
    with av.open(str(tmp_path / "a.mp4")) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    assert times == pytest.approx([i / 12 for i in range(24)])


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", 10)
    write(tmp_path / "b.mp4", 10)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def interrupted(path: Path) -> None:
    with open_clip(path, width=64, height=48, fps=12) as writer:
        writer.add(pictures(1)[0])
        raise RuntimeError("the lights went out")


def test_a_clip_that_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the lights went out"):
        interrupted(tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []
