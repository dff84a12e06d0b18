"""`models` as a person uses it: register, promote, try, compare, go back; and what is refused, in one line."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from classpulse.clock import SystemClock
from classpulse.codec import encode
from classpulse.commands.models import app
from classpulse.errors import BadInput
from classpulse.records import CameraConfig, CameraReport, RoomConfig
from classpulse.roster import Roster
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import REPORTS
from gesturedet.card import MODEL_FILE, find_release
from tests.services.fake_release import change_a_byte

CLASSROOM, SMALL = find_release("classroom").card.digest, find_release("classroom-640").card.digest
CAMERA = "t/s/room/front"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a room and a camera, which the commands find."""
    monkeypatch.setenv("CLASSPULSE_DATA", str(tmp_path / "data"))
    bus = prepare_bus(Settings(data=tmp_path / "data"))
    roster = Roster(bus, SystemClock())
    roster.write([RoomConfig(room="t/s/room"), CameraConfig(camera=CAMERA, source="file:///clip.mp4")])
    bus.close()
    return tmp_path / "data"


def models(*words: str) -> list[str]:
    """What a command prints. Raises what it raises."""
    ended = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output.splitlines()


@pytest.mark.usefixtures("data")
def test_without_releases_nothing_is_listed() -> None:
    assert models("list") == []


def test_a_release_is_registered_promoted_tried_and_taken_back(data: Path) -> None:
    assert models("register", "classroom") == [f"registered {CLASSROOM}  gesturedet-classroom"]
    assert models("register", "classroom-640") == [f"registered {SMALL}  gesturedet-classroom-640"]
    assert (data / "models" / SMALL / MODEL_FILE).exists()
    assert models("promote", CLASSROOM[:8]) == [f"line main: champion {CLASSROOM[:12]}, revision 1"]
    assert models("canary", SMALL, "front") == [f"line main: canary {SMALL[:12]} on {CAMERA}, revision 2"]

    told = "\n".join(models("list"))
    assert f"main  2         {CLASSROOM[:12]}  {SMALL[:12]} on 1 cameras  -" in told
    assert "champion of main" in told
    assert "canary of main" in told

    assert models("canary", "--stop") == ["line main: no canary, revision 3"]
    assert models("promote", SMALL, "--revision", "3") == [f"line main: champion {SMALL[:12]}, revision 4"]
    assert models("rollback") == [f"line main: champion {CLASSROOM[:12]}, revision 5"]


def test_what_looks_now_is_counted_also_where_it_was_never_registered(data: Path) -> None:
    bus = prepare_bus(Settings(data=data))
    now_ms = SystemClock().now_ms()
    report = CameraReport(camera=CAMERA, at_ms=now_ms, stage="detect", state="up", model="f" * 64)
    bus.member("detect", ()).commit([encode(report, topic=REPORTS, at_ms=now_ms)], {})
    bus.close()
    (_, row) = models("list")
    assert row.split("  ")[0] == "f" * 12
    assert "(not registered)" in row
    assert row.endswith("1")


@pytest.mark.usefixtures("data")
def test_a_release_is_shown_and_two_are_compared() -> None:
    models("register", "classroom")
    models("register", "classroom-640")
    shown = "\n".join(models("show", CLASSROOM[:8]))
    assert "input       960 x 544 pixels" in shown
    assert "hand-raising  4269" in shown
    compared = "\n".join(models("diff", CLASSROOM, SMALL))
    assert "name       gesturedet-classroom → gesturedet-classroom-640" in compared
    assert "labels     ('hand-raising', 'stand-up', 'sleeping')" in compared


def test_what_cannot_be_is_refused_in_one_line(data: Path) -> None:
    with pytest.raises(BadInput, match="model = 'cake': none of the released models"):
        models("register", "cake")
    with pytest.raises(
        BadInput, match="digest = 'ab': no such release; expected one of none: `classpulse models register`"
    ):
        models("promote", "ab")
    models("register", "classroom")
    with pytest.raises(BadInput, match="line 'main': nothing was promoted before anything"):
        models("rollback")
    with pytest.raises(BadInput, match="has no champion"):
        models("canary", CLASSROOM, "front")
    models("promote", CLASSROOM)
    with pytest.raises(BadInput, match="revision 1; expected 0: it was changed meanwhile"):
        models("promote", CLASSROOM, "--revision", "0")
    models("register", "classroom-640")
    with pytest.raises(BadInput, match="cameras: none; expected the cameras"):
        models("canary", SMALL)
    with pytest.raises(BadInput, match="camera = 'back'"):
        models("canary", SMALL, "back")
    change_a_byte(data / "models" / SMALL / MODEL_FILE)
    with pytest.raises(BadInput, match=rf"release {SMALL[:12]}: .* is of [0-9a-f]+; expected its own"):
        models("promote", SMALL)
