"""What a full disk and a kill leave of the files that commands write."""

import errno
from pathlib import Path

import cv2
import numpy as np
import pytest

from gesturedet.whole_files import partial_of, write_both, write_whole
from tests.model.gesturedet.full_disk import full_disk
from tests.model.gesturedet.running import runner
from tests.services.fake_release import make_release

LARGE = bytes(4096)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_an_empty_file_is_written_into_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    write_whole(tmp_path / "a" / "b", b"")
    assert files(tmp_path / "a") == {"b": b""}


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"old")
    told = r"a cannot be written \(File too large\); an older one is kept"
    with full_disk(at_bytes=1024), pytest.raises(OSError, match=told) as raised:
        write_whole(tmp_path / "a", LARGE)
    assert raised.value.errno == errno.EFBIG
    assert files(tmp_path) == {"a": b"old"}
    write_whole(tmp_path / "a", LARGE)
    assert files(tmp_path) == {"a": LARGE}


@pytest.mark.parametrize(("first", "second", "named"), [(LARGE, b"new", "a"), (b"new", LARGE, "b")])
def test_of_two_files_a_full_disk_keeps_both_old_ones_and_leaves_nothing_else(
    tmp_path: Path, first: bytes, second: bytes, named: str
) -> None:
    write_both((tmp_path / "a", b"old a"), (tmp_path / "b", b"old b"))
    with full_disk(at_bytes=1024), pytest.raises(OSError, match=rf"{named} cannot be written"):
        write_both((tmp_path / "a", first), (tmp_path / "b", second))
    assert files(tmp_path) == {"a": b"old a", "b": b"old b"}


def test_of_two_files_one_that_cannot_take_its_place_keeps_the_other_old_one(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_whole(tmp_path / "b", b"old b")
    with pytest.raises(OSError, match=r"a cannot be written \(Is a directory\)"):
        write_both((tmp_path / "a", b"new"), (tmp_path / "b", b"new"))
    assert (tmp_path / "b").read_bytes() == b"old b"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_full_disk_keeps_an_older_annotated_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_release(tmp_path / "release")
    noise = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    assert cv2.imwrite(str(tmp_path / "a.png"), noise)
    out = tmp_path / "out" / "a.png"
    write_whole(out, b"old")
    with full_disk(at_bytes=1024):
        ran = runner(capsys)("detect", tmp_path / "a.png", "--out", out, "--model", tmp_path / "release")
    assert (ran.code, ran.err.splitlines()[-1]) == (
        1,
        f"error: [Errno {errno.EFBIG}] {out} cannot be written (File too large); an older one is kept",
    )
    assert files(out.parent) == {"a.png": b"old"}
    assert not partial_of(out).exists()
