import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the command line trains with torch (the train extra)")

from gesturedet import cli  # noqa: E402
from tests.model.gesturedet.coco_folder import write_coco  # noqa: E402
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
        (
            ["explain", "{folder}/last.pt", "{folder}", "--out", "{folder}/x"],
            "last.pt' is a checkpoint, expected a release",
        ),
        (["train", "--no-coco"], "pictures: 0 folders and --data None, expected either folders or --data"),
        (["train", "{folder}", "--data", "{folder}"], "pictures: 1 folders and --data"),
        (["train", "{folder}", "--labels", "a", "--no-coco"], "labels: 'a' without --data"),
        (["train", "--data", "{folder}/none", "--no-coco"], "expected a VOCdevkit or a folder in VOC layout"),
        (["train", "--data", "{folder}", "--no-coco"], "labels: no object in"),
        (
            ["train", "--data", "{folder}", "--labels", "a", "--no-coco"],
            "1 do not fill one batch, expected at least 64",
        ),
        (
            ["train", "{folder}", "--no-coco", "--device", "banana"],
            "device: 'banana' cannot be had (Expected one of cpu",
        ),
        (["train", "{folder}", "--no-coco", "--recipe", "product_distilled"], "holds the backbone to the ported one"),
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


def test_a_coco_folder_without_lists_does_not_examine_what_it_has_taught(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    whole, val = tmp_path / "whole", tmp_path / "val"
    things = {f"room-{i}/p.jpg": [("stand-up", (20, 10, 60, 80))] for i in range(16)}
    write_coco(whole, things, file="result.json", where="images")
    write_coco(val, {"v.jpg": [("stand-up", (20, 10, 60, 80))]}, file="annotations/instances_default.json")
    common = ["--out", str(tmp_path / "run"), "--no-coco", "--epochs", "1"]

    assert run(monkeypatch, "train", str(whole), *common) == 2
    assert "has one list of pictures, which is for train" in " ".join(capsys.readouterr().err.split())
    release = ["release", "x.pt", "--train", str(whole), "--val", str(val), "--test", str(val), "--out", "x"]
    assert run(monkeypatch, *release) == 2
    assert "has one list of pictures, which is for val" in " ".join(capsys.readouterr().err.split())

    assert run(monkeypatch, "train", str(whole), "--val", str(val), *common) == 0
    assert "epoch 1/1" in capsys.readouterr().out


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
    kept = (out / "last.pt").read_bytes()
    assert run(monkeypatch, "train", str(tmp_path), "--out", str(out), "--no-coco", "--epochs", "1") == 2
    assert f"error: out: {out} holds a run, expected --resume" in capsys.readouterr().err
    assert (out / "last.pt").read_bytes() == kept
    assert {path.name for path in out.iterdir()} == {"last.pt", "best.pt", "log.jsonl", "curves.png"}
    resumed = train_up_to(2)
    assert "epoch 2/2" in resumed
    assert "epoch 1/2" not in resumed
    assert run(monkeypatch, "evaluate", str(out / "last.pt"), str(tmp_path), "--split", "val") == 0
    assert "stand-up            1" in capsys.readouterr().out


def test_a_vocdevkit_is_trained_and_examined_by_one_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kit, out = tmp_path / "VOCdevkit", tmp_path / "run"
    for year in ("VOC2007", "VOC2012"):
        write_voc(kit / year, {f"{year}{i}": [("dog", (20, 10, 60, 80))] for i in range(4)}, split="trainval")
    write_voc(kit / "VOC2007", {"t1": [("dog", (20, 10, 60, 80))], "t2": [("cat", (1, 1, 9, 9))]}, split="test")
    (kit / "VOC2007" / "JPEGImages" / "t2.jpg").write_bytes(b"damaged")

    common = ["--recipe", "voc_small", "--epochs", "1", "--no-coco", "--out", str(out)]
    assert run(monkeypatch, "train", "--data", str(kit), *common) == 0

    assert "skipped 1 pictures that cannot be read: t2" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {"last.pt", "log.jsonl", "curves.png", "figures.json"}
    told = json.loads((out / "figures.json").read_text())
    assert (told["pictures"], told["unreadable"], len(told["behaviours"])) == (1, ["t2"], 20)
    assert {row["behaviour"]: row["truths"] for row in told["behaviours"]}["dog"] == 1
    (out / "figures.json.partial").mkdir()  # where they are written before they take their place
    assert run(monkeypatch, "train", "--data", str(kit), *common, "--resume") == 2
    assert "figures.json cannot be written (Is a directory); an older one is kept" in " ".join(
        capsys.readouterr().err.split()
    )
    assert json.loads((out / "figures.json").read_text()) == told
    assert run(monkeypatch, "evaluate", str(out / "last.pt"), str(kit), "--json") == 0
    assert json.loads(capsys.readouterr().out) == told


def test_somebody_elses_folder_brings_its_own_classes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_voc(tmp_path, {f"p{i}": [(("cup", "pen")[i % 2], (20, 10, 60, 80))] for i in range(8)})
    write_voc(tmp_path, {"v": [("pen", (20, 10, 60, 80))]}, split="val")
    out = tmp_path / "run"
    common = ["--recipe", "voc_small", "--epochs", "1", "--no-coco", "--out", str(out)]

    assert run(monkeypatch, "train", "--data", str(tmp_path), *common, "--json") == 0
    assert {path.name for path in out.iterdir()} == {"last.pt", "best.pt", "log.jsonl", "curves.png"}
    said = capsys.readouterr()
    assert "epoch 1/1" in said.err
    told = json.loads(said.out)
    last = json.loads((out / "log.jsonl").read_text().splitlines()[-1])
    assert told == {
        "out": str(out),
        "last": str(out / "last.pt"),
        "best": str(out / "best.pt"),
        "epochs": 1,
        "loss": last["train"]["loss"],
        "val": last["val"],
        "test": None,
    }
    assert [row["truths"] for row in told["val"]["behaviours"]] == [0, 1]
    assert run(monkeypatch, "evaluate", str(out / "best.pt"), str(tmp_path), "--split", "val") == 0
    assert "cup                 0      -" in capsys.readouterr().out
    assert (
        run(monkeypatch, "train", "--data", str(tmp_path), "--labels", "cup", *common[:-1], str(tmp_path / "other"))
        == 2
    )
    assert "object name 'pen' is none of cup" in " ".join(capsys.readouterr().err.split())
