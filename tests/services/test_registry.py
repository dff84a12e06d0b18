"""Releases lie in a store by their digest, whole or not at all, and whoever reads one checks it."""

from pathlib import Path

import fsspec
import pytest

from classpulse.errors import BadInput, Recoverable
from classpulse.registry import fetch, put
from gesturedet.card import CARD_FILE, MODEL_FILE, Release, load_release
from tests.services.fake_release import change_a_byte, make_release


@pytest.fixture
def release(tmp_path: Path) -> Release:
    make_release(tmp_path / "release")
    return load_release(tmp_path / "release")


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_what_was_put_is_fetched_as_it_was(kind: str, release: Release, tmp_path: Path) -> None:
    registry = str(tmp_path / "models") if kind == "folder" else f"memory://{tmp_path.name}"
    told = put(release, registry)
    assert (told.digest, told.name, told.labels) == (release.card.digest, release.card.name, release.card.published)
    assert told.artefact.endswith(f"/{release.card.digest}")
    assert "://" in told.artefact
    assert fetch(told) == release
    assert put(release, registry) == told


def test_what_a_kill_left_half_written_is_no_release_and_is_written_again(release: Release, tmp_path: Path) -> None:
    told = put(release, str(tmp_path))
    folder = tmp_path / release.card.digest
    (folder / CARD_FILE).unlink()
    (folder / MODEL_FILE).write_bytes(b"half")
    with pytest.raises(Recoverable, match=rf"release {told.digest[:12]}: .*expected a store that answers"):
        fetch(told)
    put(release, str(tmp_path))
    assert fetch(told) == release
    assert sorted(file.name for file in folder.iterdir()) == [CARD_FILE, MODEL_FILE]


def test_a_store_that_lies_is_found_out(release: Release, tmp_path: Path) -> None:
    told = put(release, str(tmp_path))
    change_a_byte(tmp_path / told.digest / MODEL_FILE)
    with pytest.raises(
        BadInput, match=rf"release {told.digest[:12]}: .*{MODEL_FILE} is of [0-9a-f]{{64}}; expected its own"
    ):
        fetch(told)
    (tmp_path / told.digest / CARD_FILE).write_text("{}")
    with pytest.raises(BadInput, match="no model card"):
        fetch(told)


def test_a_store_that_cannot_be_written_or_is_unknown_is_named(release: Release, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Recoverable, match=r"registry = '.*file/models': .*expected a store that can be written"):
        put(release, str(tmp_path / "file" / "models"))
    with pytest.raises(BadInput, match=r"registry = 'nowhere://x': .*; expected a folder, or a URL that fsspec knows"):
        put(release, "nowhere://x")


def teardown_module() -> None:
    fsspec.filesystem("memory").store.clear()
