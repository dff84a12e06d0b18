"""What no storage can be opened by is refused in one line that says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from classpulse.errors import BadInput, Recoverable
from classpulse.stores import answering, store_of

WITHOUT_S3FS = "import sys; sys.modules['s3fs'] = None; from classpulse.cli import main; main()"


def test_without_s3fs_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSPULSE_DATA", str(tmp_path))
    monkeypatch.setenv("CLASSPULSE_REGISTRY", "s3://models/all")
    command = [sys.executable, "-c", WITHOUT_S3FS, "models", "register", "classroom"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = "registry = 's3://models/all': Install s3fs to access S3; expected `pip install '.[s3]'`"
    assert done.stderr == f"classpulse: {told}\n"
    assert done.returncode == 2


@pytest.mark.parametrize("url", ["s3://AKIA:sec/ret@models/all", "s3://models/all?secret=sec/ret"])
def test_a_password_in_a_url_is_refused_and_not_told(url: str) -> None:
    with pytest.raises(
        BadInput, match=r"registry = 's3://.*\*\*\*.*': a password in the URL; expected none"
    ) as refused:
        store_of(url, key="registry")
    assert "sec/ret" not in str(refused.value)


def test_whatever_a_storage_says_is_told_in_one_line() -> None:
    for said, told in ((TimeoutError(), "TimeoutError:"), (OSError("first\n  second"), "OSError: first second")):
        with (
            pytest.raises(Recoverable, match=f"^registry: {told}; expected an answer$"),
            answering("registry", "an answer"),
        ):
            raise said
