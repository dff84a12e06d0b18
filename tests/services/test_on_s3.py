"""Releases and states of training runs on a real S3 server: the same promises as in a folder, and errors that say what to mend."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from classpulse.errors import BadInput, Recoverable
from classpulse.records import ModelRelease
from classpulse.registry import described, fetch, put
from gesturedet.card import CARD_FILE, MODEL_FILE, Release, load_release
from tests.s3_server import KEY_ID, SECRET, Server, give_credentials, require_s3, server_in
from tests.services.fake_release import make_release

pytestmark = pytest.mark.s3

REGISTRY = "s3://models/all/of-them[1]"

KILLED_BEFORE_WRITE = """
import os, signal, sys
from pathlib import Path
import s3fs
from classpulse.registry import put
from gesturedet.card import load_release

ask, left = s3fs.S3FileSystem._call_s3, int(sys.argv[3])

async def ask_or_die(self, method, *args, **kwargs):
    global left
    if method in ("put_object", "copy_object", "delete_object", "delete_objects"):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
    return await ask(self, method, *args, **kwargs)

s3fs.S3FileSystem._call_s3 = ask_or_die
put(load_release(Path(sys.argv[1])), sys.argv[2])
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    require_s3()
    server = server_in(tmp_path / "buckets", "models")
    give_credentials(monkeypatch, server, tmp_path)
    return server


@pytest.fixture
def running(server: Server) -> Iterator[Server]:
    with server.running():
        yield server


@pytest.fixture
def release(tmp_path: Path) -> Release:
    make_release(tmp_path / "release")
    return load_release(tmp_path / "release")


def lies_at(release: Release, registry: str = REGISTRY) -> ModelRelease:
    """What the bus tells of a release that was put there."""
    return described(release.card, f"{registry}/{release.card.digest}")


@pytest.mark.parametrize("registry", [REGISTRY, "s3://models"])
def test_what_was_put_is_fetched_as_it_was(running: Server, release: Release, registry: str) -> None:
    told = put(release, registry)
    assert told == lies_at(release, registry)
    assert fetch(told) == release
    assert put(release, registry) == told
    folder = running.buckets / registry.removeprefix("s3://") / told.digest
    assert sorted(file.name for file in folder.iterdir()) == [CARD_FILE, MODEL_FILE]


@pytest.mark.parametrize(("write", "left"), [(1, []), (2, [MODEL_FILE])])
def test_a_writer_that_is_killed_leaves_no_release_and_it_is_written_again(
    running: Server, release: Release, tmp_path: Path, write: int, left: list[str]
) -> None:
    command = [sys.executable, "-c", KILLED_BEFORE_WRITE, str(tmp_path / "release"), REGISTRY, str(write)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [file.name for file in running.buckets.rglob("*.*") if file.suffix in (".onnx", ".json")] == left
    with pytest.raises(Recoverable, match=r"FileNotFoundError: .*; expected a store that answers"):
        fetch(lies_at(release))
    put(release, REGISTRY)
    assert fetch(lies_at(release)) == release


def test_a_store_that_lies_is_found_out(running: Server, release: Release) -> None:
    told = put(release, REGISTRY)
    fsspec.filesystem("s3", skip_instance_cache=True).pipe_file(f"{told.artefact}/{MODEL_FILE}", b"other bytes")
    with pytest.raises(BadInput, match=rf"{MODEL_FILE} is of [0-9a-f]{{64}}; expected its own"):
        fetch(told)


def test_a_server_that_is_away_is_named_and_asked_again(server: Server, release: Release) -> None:
    with pytest.raises(
        Recoverable, match=rf"registry = '{re.escape(REGISTRY)}': .*connect.*{server.port}.*; expected a store that"
    ):
        put(release, REGISTRY)
    with server.running():
        told = put(release, REGISTRY)
    with pytest.raises(Recoverable, match=r"release [0-9a-f]{12}: s3://.*connect.*; expected a store that answers"):
        fetch(told)
    with server.running():
        assert fetch(told) == release


def test_a_bucket_that_does_not_exist_is_named_and_not_made(running: Server, release: Release) -> None:
    with pytest.raises(
        Recoverable, match=r"'s3://mistyped/x': .*bucket does not exist.*; expected a store that can be"
    ):
        put(release, "s3://mistyped/x")
    assert [folder.name for folder in running.buckets.iterdir() if not folder.name.startswith(".")] == ["models"]


def test_credentials_that_were_wrong_are_looked_for_again(
    running: Server, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = put(release, REGISTRY)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(Recoverable, match="Unable to locate credentials; expected a store that answers"):
        fetch(told)
    profile = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"
    (tmp_path / "credentials").write_text(profile.format(KEY_ID, "no-such-secret"))
    with pytest.raises(Recoverable, match=r"PermissionError: .*; expected a store that answers"):
        fetch(told)
    with pytest.raises(
        Recoverable, match=rf"registry = '{re.escape(REGISTRY)}': PermissionError: .*; expected a store that can be"
    ):
        put(release, REGISTRY)
    (tmp_path / "credentials").write_text(profile.format(KEY_ID, SECRET))
    assert fetch(told) == release


@pytest.mark.parametrize(("secret", "code"), [(SECRET, 0), ("another-secret", 1)])
def test_a_command_tells_neither_key_nor_secret(
    running: Server, release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, code: int
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("CLASSPULSE_REGISTRY", REGISTRY)
    monkeypatch.setenv("CLASSPULSE_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("CLASSPULSE_DATA", str(tmp_path / "data"))
    registered, settings = (
        subprocess.run([sys.executable, "-m", "classpulse.cli", *words], capture_output=True, text=True, check=False)
        for words in (["models", "register", str(tmp_path / "release")], ["settings"])
    )
    assert registered.returncode == code, registered.stderr
    assert settings.returncode == 0
    assert len(registered.stderr.splitlines()) == code, "one line for one error"
    for done in (registered, settings):
        assert KEY_ID not in done.stdout + done.stderr
        assert secret not in done.stdout + done.stderr
