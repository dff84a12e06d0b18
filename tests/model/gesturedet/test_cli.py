from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the command line trains with torch (the train extra)")

from gesturedet import cli  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["gesturedet", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["train", "{folder}", "--out", "{folder}/run", "--no-coco", "--split", "absent"], "no such list of pictures"),
        (["train", "{folder}", "--out", "{folder}/run", "--no-coco", "--recipe", "cake"], "'cake' is none of paper"),
        (["train", "{folder}", "--out", "{folder}/run", "--no-coco"], "1 do not fill one batch, expected at least 16"),
        (["evaluate", "{folder}/last.pt", "{folder}"], "is no file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    says: str,
) -> None:
    for split in ("train", "val"):
        write_voc(tmp_path, {"a": []}, split=split)

    assert run(monkeypatch, *(word.format(folder=tmp_path) for word in arguments)) == 2

    error = " ".join(capsys.readouterr().err.split())
    assert error.startswith("error: ")
    assert says in error


def test_a_run_is_trained_resumed_and_evaluated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    things = {f"p{index}": [("stand-up", (20, 10, 60, 80))] for index in range(16)}
    write_voc(tmp_path, things)
    write_voc(tmp_path, {"v": [("stand-up", (20, 10, 60, 80))]}, split="val")
    out = tmp_path / "run"

    def train_up_to(epochs: int) -> str:
        arguments = ["train", str(tmp_path), "--out", str(out), "--no-coco", "--resume", "--epochs", str(epochs)]
        assert run(monkeypatch, *arguments) == 0
        return capsys.readouterr().out

    assert "epoch 1/1" in train_up_to(1)
    assert {path.name for path in out.iterdir()} == {"last.pt", "best.pt", "log.jsonl", "curves.png"}
    resumed = train_up_to(2)
    assert "epoch 2/2" in resumed
    assert "epoch 1/2" not in resumed
    assert run(monkeypatch, "evaluate", str(out / "last.pt"), str(tmp_path), "--split", "val") == 0
    assert "stand-up            1" in capsys.readouterr().out
