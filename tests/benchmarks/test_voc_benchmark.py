"""The two commands that anybody would type have to agree; they are stood in for by what they write and print."""

import json
from pathlib import Path

import pytest
from benchmarks.voc import measure


class Command:
    """Stands for `gesturedet`: trains by writing its files, evaluates by saying what it is given."""

    def __init__(self, run: Path, says: object) -> None:
        self.run, self.says, self.asked = run, says, list[tuple[str, ...]]()

    def __call__(self, *arguments: str) -> str:
        self.asked.append(arguments)
        if arguments[0] == "evaluate":
            return json.dumps(self.says)
        self.run.mkdir()
        (self.run / "figures.json").write_text(json.dumps({"map50": 0.5}))
        end = {"epochs": 1, "train": {"loss": 2.25}, "val": {"map50": 0.4}}
        lines = [{"epoch": 0, "step": 0, "loss": 3.0}, {"epoch": 0, "step": 1, "loss": 1.5}, end]
        (self.run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return "trained"


def test_figures_are_those_of_the_log_and_of_both_commands(tmp_path: Path) -> None:
    command = Command(tmp_path / "run", {"map50": 0.5})

    told = measure(Path("cells"), 1, tmp_path, command)

    assert (told["test"], told["steps"], told["loss_by_epoch"]) == ({"map50": 0.5}, 2, [2.25])
    assert told["val_map50_by_epoch"] == [0.4]
    assert [arguments[0] for arguments in command.asked] == ["train", "evaluate"]
    assert command.asked[1][1:3] == (str(tmp_path / "run" / "last.pt"), "cells")


def test_commands_that_disagree_end_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"train said {'map50': 0\.5}, evaluate {'map50': 0\.6}"):
        measure(Path("cells"), 1, tmp_path, Command(tmp_path / "run", {"map50": 0.6}))
