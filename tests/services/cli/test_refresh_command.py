"""`refresh` as a person asks for it: what is absent, wrong or said too late is named before anything starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("ray.train", reason="refresh trains on Ray (the trainer extra)")

from classpulse.commands.refresh import app
from classpulse.errors import BadInput
from classpulse.refresh.folder import Folder, Plan

pytestmark = pytest.mark.ray

PLAN = Plan(
    pictures=("/new",), base=(), drawn=0, val="/val", exams=("/exam",), quiet=("/quiet",), recipe="product", epochs=None,
    workers=1, device="cpu", margin=0.03, champion="a" * 64,
)  # fmt: skip


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CLASSPULSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("CLASSPULSE_MODEL", "classroom-640")
    return tmp_path / "out"


def refused(out: Path, *words: str) -> str:
    with pytest.raises(BadInput) as raised:
        CliRunner().invoke(app, ["--out", str(out), *words], catch_exceptions=False)
    return str(raised.value)


def test_all_that_is_absent_is_named_at_once(out: Path) -> None:
    said = refused(out).splitlines()
    assert [line.split(":")[0] for line in said] == ["pictures", "--val", "--exam", "--quiet"]
    assert not out.exists()


@pytest.mark.parametrize("word", [["--resume"], ["--refuse", "no"]])
def test_where_no_refresh_is_none_goes_on(word: list[str], out: Path) -> None:
    assert "holds no refresh; expected one to go on with" in refused(out, *word)


def test_an_unknown_recipe_is_named_before_it_is_written_down(out: Path) -> None:
    given = ["/new", "--val", "/val", "--exam", "/exam", "--quiet", "/quiet", "--recipe", "none"]
    assert "--recipe: recipe: 'none' is none of paper" in refused(out, *given)
    assert Folder(out).plan() is None


def test_one_that_is_there_goes_on_only_when_asked_and_as_it_began(out: Path) -> None:
    Folder(out).begin(PLAN)
    assert "holds a refresh; expected --resume" in refused(out)
    said = refused(out, "--resume", "--margin", "0.5", "--exam", "/other")
    assert said.startswith("exam, margin: given with --resume; expected them where a refresh begins")
