"""`train` as a person asks for it: what no run could begin with is named before anything starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch", reason="training needs torch (the train extra)")

from classpulse.commands import train as command
from classpulse.errors import BadInput
from tests.model.gesturedet.voc_folder import write_voc


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    things = {f"p{i}": [("hand-raising", (10, 20, 50, 80))] for i in range(16)}
    write_voc(tmp_path / "voc", things)
    return write_voc(tmp_path / "voc", {"v": []}, split="val")


def refused(*words: object) -> str:
    """What the command says of what it was given."""
    with pytest.raises(BadInput) as raised:
        CliRunner().invoke(command.app, [str(word) for word in words], catch_exceptions=False)
    return str(raised.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "none"], "train: recipe: 'none' is none of paper"),
        (
            ["--workers", "3", "--champion", "classroom-640"],
            "--workers = 3: a batch is 16 pictures; expected a divisor",
        ),
        (["--precision", "fp8"], "--precision = 'fp8': expected one of fp32, bf16"),
        (["--champion", "nobody"], "train: model: 'nobody' is none of the released models"),
        (["--val", "/nowhere", "--champion", "classroom-640"], "train: /nowhere/ImageSets/Main/val.txt: no such list"),
    ],
)
def test_what_no_run_could_begin_with_is_named(words: list[str], said: str, pictures: Path, tmp_path: Path) -> None:
    assert said in refused(pictures, "--out", tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_too_few_pictures_are_counted(tmp_path: Path) -> None:
    few = write_voc(tmp_path / "few", {"a": [("stand-up", (10, 20, 50, 80))]})
    assert "pictures: 1 do not fill one batch, expected at least 16" in refused(few, "--champion", "classroom-640")


def test_a_run_that_is_there_is_not_written_over(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "last.pt").write_bytes(b"")
    said = refused(pictures, "--out", tmp_path / "out", "--champion", "classroom-640")
    assert "holds a run; expected --resume to go on with it, or another place" in said


def test_without_what_trains_the_extra_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None if name == "ray" else name)
    assert "train: ray not installed; expected `pip install '.[trainer]'`" in refused(pictures)
