"""Where a camera's password comes from, and that it is never seen."""

from pathlib import Path

import pytest

from classpulse.ingest.sources.base import SourceError, source_of
from classpulse.ingest.sources.rtsp import RtspSource, private, read_credentials
from tests.services.ingest.making import config_of

SECRET = "p@ss/w:d%1 ü?#"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_one_line_of_user_and_password_is_read(tmp_path: Path) -> None:
    assert read_credentials(written(tmp_path / "c", f"viewer:{SECRET}\n")) == ("viewer", SECRET)
    assert read_credentials(written(tmp_path / "c", "viewer:")) == ("viewer", "")


@pytest.mark.parametrize("text", ["", "viewer", ":word", "viewer:word\nmore:words\n"])
def test_anything_else_is_refused_without_being_repeated(tmp_path: Path, text: str) -> None:
    path = written(tmp_path / "c", text)
    with pytest.raises(
        SourceError, match=rf"credentials: credentials_ref = {path}: .*expected one line user:password"
    ) as caught:
        read_credentials(path)
    assert "word" not in str(caught.value).replace("user:password", "")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "c", f"viewer:{SECRET}", mode)
    with pytest.raises(SourceError, match=rf"mode {mode:04o}; expected 0600"):
        read_credentials(path)


@pytest.mark.parametrize(
    ("mode", "owner", "reader", "expected"),
    [
        (0o600, 10001, 10001, True),
        (0o440, 10001, 10001, False),
        (0o440, 0, 10001, True),
        (0o440, 0, 0, False),
        (0o444, 0, 10001, False),
        (0o460, 0, 10001, False),
    ],
)
def test_only_a_secret_that_a_cluster_mounts_may_be_read_by_its_group(
    mode: int, owner: int, reader: int, expected: bool
) -> None:
    assert private(mode, owner=owner, reader=reader) is expected


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"credentials_ref = .*/none: No such file or directory; expected a readable"):
        read_credentials(tmp_path / "none")


def test_a_password_is_escaped_into_the_url_and_replaces_a_user_that_stands_there(tmp_path: Path) -> None:
    path = written(tmp_path / "c", f"viewer:{SECRET}")
    source = source_of(config_of("rtsp://guest@10.0.0.7:554/live/1?profile=2", credentials_ref=str(path)))
    assert isinstance(source, RtspSource)
    assert source._url() == "rtsp://viewer:p%40ss%2Fw%3Ad%251%20%C3%BC%3F%23@10.0.0.7:554/live/1?profile=2"


def test_no_message_of_a_failure_holds_the_password(tmp_path: Path) -> None:
    path = written(tmp_path / "c", "viewer:hunter2")
    source = source_of(config_of("rtsp://127.0.0.1:1/stream", credentials_ref=str(path)))
    with pytest.raises(SourceError, match=r"refused: rtsp://127\.0\.0\.1:1/stream") as caught:
        source.open(after_ms=-1, timeout_ms=1_000)
    assert "hunter2" not in f"{caught.value}{caught.value!r}"
    assert caught.value.__suppress_context__


def test_what_an_error_says_is_masked_whatever_it_holds() -> None:
    assert "hunter2" not in str(SourceError("failed", "cannot open 'rtsp://viewer:hunter2@10.0.0.7/s'"))
