"""States of a training run: whole or not there, the last two of them, on any storage."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs torch (the train extra)")

from classpulse.errors import BadInput, Recoverable
from classpulse.train.kept import Kept
from tests.s3_server import serving_s3


@pytest.fixture(params=["folder", "file", "memory", pytest.param("s3", marks=pytest.mark.s3)])
def kept(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    url = {
        "folder": str(tmp_path / "out"),
        "file": f"file://{tmp_path}/out",
        "memory": f"memory://{tmp_path.name}",
        "s3": "s3://runs/out[1]",
    }
    with ExitStack() as stack:
        if request.param == "s3":
            stack.enter_context(serving_s3(tmp_path, monkeypatch, "runs"))
        yield Kept(url[request.param])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a run has in its own folder."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "last.pt").write_bytes(b"weights")
    (tmp_path / "own" / "log.jsonl").write_bytes(b"{}\n")
    return tmp_path / "own"


def fetched(kept: Kept, tmp_path: Path) -> dict[str, bytes]:
    into = tmp_path / "into"
    into.mkdir(exist_ok=True)
    kept.fetch(into, kept.states()[-1])
    return {file.name: file.read_bytes() for file in into.iterdir()}


def test_what_was_kept_is_fetched_as_it_was(kept: Kept, folder: Path, tmp_path: Path) -> None:
    assert not kept.begun()
    assert kept.states() == []
    kept.keep(folder, "00000-0000100")
    assert kept.begun()
    assert fetched(kept, tmp_path) == {"last.pt": b"weights", "log.jsonl": b"{}\n"}


def test_the_newest_is_fetched_and_the_one_before_it_stays(kept: Kept, folder: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (folder / "last.pt").write_bytes(b"%d" % number)
        kept.keep(folder, f"00000-000000{number}")
    assert kept.states() == ["00000-0000002", "00000-0000003"]
    assert not [path for path in kept._store.find(kept._root) if "0000001" in path]
    assert fetched(kept, tmp_path)["last.pt"] == b"3"


def test_at_the_end_the_files_lie_where_they_were_asked_for(kept: Kept, folder: Path) -> None:
    kept.keep(folder, "end")
    kept.finish()
    assert kept._store.cat_file(f"{kept._root}/last.pt") == b"weights"
    assert kept.begun()


def test_a_state_that_a_kill_cut_short_is_none(folder: Path, tmp_path: Path) -> None:
    kept = Kept(str(tmp_path / "out"))
    kept.keep(folder, "00000-0000001")
    kept.keep(folder, "00000-0000002")
    (tmp_path / "out" / "states" / "00000-0000002" / "whole").unlink()
    assert kept.states() == ["00000-0000001"]
    kept.keep(folder, "00000-0000002")
    assert kept.states() == ["00000-0000001", "00000-0000002"]


def test_a_state_is_whole_again_only_when_it_was_written_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(str(tmp_path / "out"))
    kept.keep(folder, "00000-0000001")
    kept.keep(folder, "00001-0000000")
    monkeypatch.setattr(kept._store, "put_file", lambda *_: 1 / 0)
    with pytest.raises(Recoverable, match="division by zero; expected a store that can be written"):
        kept.keep(folder, "00001-0000000")
    assert kept.states() == ["00000-0000001"]


def test_while_a_state_is_written_again_it_is_none(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, during = Kept(str(tmp_path / "out")), list[list[str]]()
    for name in ("00000-0000001", "00001-0000000"):
        kept.keep(folder, name)
    put_file = kept._store.put_file
    monkeypatch.setattr(kept._store, "put_file", lambda *paths: (during.append(kept.states()), put_file(*paths)))
    kept.keep(folder, "00001-0000000")
    assert during == [["00000-0000001"]] * 2
    assert kept.states() == ["00000-0000001", "00001-0000000"]


def test_a_place_whose_name_is_a_pattern_is_a_place(folder: Path, tmp_path: Path) -> None:
    kept = Kept(str(tmp_path / "out[1]"))
    kept.keep(folder, "00001-0000000")
    assert kept.states() == ["00001-0000000"]


def test_what_is_not_seen_from_here_is_named(folder: Path, tmp_path: Path) -> None:
    kept = Kept(str(tmp_path / "out"))
    with pytest.raises(Recoverable, match="no state of the run is here; expected a storage that every node sees"):
        kept.finish()
    with pytest.raises(Recoverable, match="expected a storage that every node sees"):
        kept.fetch(folder, "00001-0000000")


def test_a_full_disk_is_named_and_the_older_state_is_whole(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(str(tmp_path / "out"))
    kept.keep(folder, "00000-0000001")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kept._store, "put_file", full)
    with pytest.raises(
        Recoverable, match=r"--out = 'file://.*out': .*No space left on device; expected a store that can be written"
    ):
        kept.keep(folder, "00000-0000002")
    assert kept.states() == ["00000-0000001"]
    assert [path.name for path in (tmp_path / "out" / "states").iterdir()] == ["00000-0000001"]
    assert fetched(kept, tmp_path)["last.pt"] == b"weights"


def test_a_folder_is_the_same_for_a_process_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Kept("out").url == f"file://{tmp_path}/out"


def test_looking_whether_it_can_be_written_leaves_nothing(kept: Kept, folder: Path) -> None:
    kept.check()
    assert not kept.begun()
    kept.keep(folder, "00000-0000001")
    kept.check()
    assert kept.states() == ["00000-0000001"]


def test_where_nothing_can_be_written_it_is_said_before_there_is_a_state(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Recoverable, match=r"--out = 'file://.*/file/out': .*; expected a store that can be written"):
        Kept(str(tmp_path / "file" / "out")).check()


@pytest.mark.s3
def test_a_bucket_that_does_not_exist_is_not_made(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving_s3(tmp_path, monkeypatch, "runs"):
        kept = Kept("s3://mistyped/out")
        for write in (kept.check, lambda: kept.keep(folder, "00000-0000001")):
            with pytest.raises(
                Recoverable, match=r"--out = 's3://mistyped/out': .*bucket does not exist.*; expected a"
            ):
                write()
        assert kept.states() == []


def test_a_storage_that_nobody_knows_is_named() -> None:
    with pytest.raises(BadInput, match=r"--out = 'nowhere://x': .*; expected a folder, or a URL that fsspec knows"):
        Kept("nowhere://x")
