"""The commands are one table; errors become exit codes in one place; --help is quick."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from classpulse.cli import COMMANDS, load
from tests.services.cli.conftest import Command

PICTURES = ("av", "cv2", "numpy")
BLIND = ("aggregate.main", "bridge.main", "bus.kafka", "bus.sqlite", "audit", "erase.erase", "export.run", "replay")
"""Modules under classpulse for processes that see no picture: their image has no library for pictures."""

BLIND_COMMANDS = ("stages", "settings", "topics", "reading", "tail", "audit", "dead_letters", "export", "erase")
HEAVY = ("av", "cv2", "numpy", "onnxruntime", "rich", "torch", "gesturedet", "classpulse.commands")


def test_help_names_every_command(command: Command) -> None:
    result = command("--help", data=False)
    assert result.code == 0
    assert all(f"\n  {name} " in result.out for name in COMMANDS)


def test_no_command_is_a_question_for_help(command: Command) -> None:
    assert "Usage: classpulse" in command(data=False).err


@pytest.mark.parametrize("name", COMMANDS)
def test_a_row_of_the_table_says_what_its_command_says(name: str) -> None:
    said = load(name).help
    assert said is not None
    assert said.splitlines()[0].startswith(COMMANDS[name].help.removesuffix("."))


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom classpulse.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("module", [*BLIND, *(f"commands.{name}" for name in BLIND_COMMANDS)])
def test_what_sees_no_picture_needs_no_library_for_pictures(module: str) -> None:
    script = f"import sys\nfor name in {PICTURES!r}:\n    sys.modules[name] = None\nimport classpulse.{module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_version_is_that_of_the_package(command: Command) -> None:
    result = command("--version", data=False)
    assert (result.code, result.out) == (0, f"classpulse {version('classpulse')}\n")


def test_a_mistyped_command_is_answered_with_the_nearest(command: Command) -> None:
    result = command("camera", data=False)
    assert result.code == 2
    assert "Did you mean 'cameras'?" in result.err


def test_a_fault_of_the_machine_is_one_line_and_exit_code_1(command: Command, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bus.sqlite").write_bytes(b"not a bus at all" * 4096)
    result = command("cameras", "list")
    assert result.code == 1
    assert result.err.startswith("classpulse: bus ")
    assert len(result.err.splitlines()) == 1


def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "classpulse.cli", "tail", "nothing"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("classpulse: topic 'nothing' does not exist; expected one of cameras, rooms,")


def test_every_fault_of_the_environment_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSPULSE_BUKET_MS", "1")
    monkeypatch.setenv("CLASSPULSE_COMMIT_MS", "soon")
    result = command("settings")
    assert result.code == 2
    assert "CLASSPULSE_BUKET_MS = '1': unknown setting; nearest is CLASSPULSE_BUCKET_MS" in result.err
    assert "CLASSPULSE_COMMIT_MS = 'soon': expected a whole number from 10 to 5000" in result.err


def test_settings_are_printed_with_secrets_masked(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSPULSE_BUS", "kafka://me:hush@broker")
    result = command("settings")
    assert result.code == 0
    assert "bus = kafka://me:***@broker\n" in result.out
    assert "hush" not in result.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("detect", "--index", "2", "--count", "2"), "--index = 2: expected 0 to 1 for --count 2"),
        (("ingest", "--index", "-1"), "--index = -1: expected 0 to 0 for --count 1"),
    ],
)
def test_a_stage_without_a_place_in_its_group_is_refused(
    command: Command, arguments: tuple[str, ...], said: str
) -> None:
    result = command(*arguments)
    assert (result.code, result.err) == (2, f"classpulse: {said}\n")


@pytest.mark.parametrize("fault", ["nowhere:1", "detect/stage.polled:0", "somebody/stage.polled:1", "stage.polled"])
def test_an_unknown_fault_point_is_refused(command: Command, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setenv("CLASSPULSE_FAULT", fault)
    result = command("aggregate")
    assert result.code == 2
    assert "classpulse: CLASSPULSE_FAULT: fault '" in result.err
    assert "expected" in result.err
