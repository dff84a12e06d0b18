"""The commands are one table; errors become exit codes in one place; what needs no torch runs without it."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from gesturedet.cli import COMMANDS, load
from tests.model.gesturedet.running import Run
from tests.services.fake_release import make_release

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from gesturedet.cli import main; main({arguments!r})"


def without_torch(*arguments: object) -> "subprocess.CompletedProcess[str]":
    code = WITHOUT_TORCH.format(arguments=[str(argument) for argument in arguments])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)


def test_no_command_is_a_question_for_help(run: Run) -> None:
    assert "Usage: gesturedet" in run().err


def test_help_names_every_command_and_imports_none(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    assert all(f"\n  {name} " in ran.out for name in COMMANDS)
    heavy = ("av", "cv2", "numpy", "onnxruntime", "rich", "torch", "gesturedet.commands")
    code = (
        "import sys\nfrom gesturedet.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_row_of_the_table_says_what_its_command_says(name: str) -> None:
    pytest.importorskip("torch", reason="some commands train (the train extra)")
    said = load(name).help
    assert said is not None
    assert said.splitlines()[0].startswith(COMMANDS[name].help.removesuffix("."))


def test_detect_bench_card_and_the_sheets_of_explain_run_without_torch(tmp_path: Path) -> None:
    make_release(tmp_path / "release")
    assert cv2.imwrite(str(tmp_path / "a.png"), np.full((90, 160, 3), 255, dtype=np.uint8))
    detected = without_torch("detect", tmp_path / "a.png", "--model", tmp_path / "release")
    assert (detected.returncode, detected.stderr) == (0, "1 picture: hand-raising 1\n")
    benched = without_torch("bench", tmp_path / "release", "--rounds", "1", "--runs", "1")
    assert benched.returncode == 0
    assert "left out: eager: " in benched.stdout
    assert without_torch("card").returncode == 0
    assert without_torch("explain", "--help").returncode == 0


@pytest.mark.parametrize("name", ["train", "export"])
def test_a_command_that_needs_torch_says_so_in_one_line(name: str) -> None:
    done = without_torch(name, "anything")
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {name}: the package torch is not installed, expected `pip install '.[train,cpu]'`\n"
    )


def test_explaining_a_picture_needs_torch_and_says_so_in_one_line(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 9, 3), dtype=np.uint8))
    done = without_torch("explain", "classroom", tmp_path / "a.png", "--out", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: explain: the package torch is not installed, expected `pip install '.[train,cpu]'`\n"
