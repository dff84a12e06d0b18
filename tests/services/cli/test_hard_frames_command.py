"""`hard-frames` as a person uses it: rows, what is counted, what is compared with a candidate; nothing is kept of a picture."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from classpulse.bus.base import Bus
from classpulse.bus.sqlite import SqliteBus
from classpulse.clock import SystemClock
from classpulse.codec import encode
from classpulse.detect.eyes import eyes_of
from classpulse.detect.pictures import decode_picture
from classpulse.lines import Lines, promoted
from classpulse.records import Detection, Frame, FrameDetections, Record, RoomConfig
from classpulse.registry import put
from classpulse.settings import Settings
from classpulse.supervisor import prepare_bus
from classpulse.topics import DETECTIONS, FRAMES, ROOMS, partition_of
from gesturedet.card import load_release
from tests.services.aggregate.stories import CAM, ROOM, at, frame
from tests.services.cli.conftest import Command
from tests.services.detect.rig import jpeg
from tests.services.erase.lessons import NEIGHBOUR, ended, moment, rig_on
from tests.services.erase.lessons import START as LESSON_START
from tests.services.fake_release import make_release

START = 1_772_434_800_000  # 2026-03-02T07:00:00Z
OTHER = NEIGHBOUR  # in the same partition
SIZE = {"width": 160, "height": 90}
BRIGHT, DARK = 255, 0
NOTHING = "0 of 0 rows; hard frames: none\n0 frames were looked at\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


@pytest.fixture
def bus(settings: Settings) -> Iterator[Bus]:
    """A bus with two rooms."""
    bus = prepare_bus(settings)
    rooms = [RoomConfig(room=ROOM, time_zone="Europe/Berlin"), RoomConfig(room=OTHER, time_zone="Europe/Berlin")]
    bus.member("operator", []).commit([encode(room, topic=ROOMS, at_ms=0) for room in rooms], {})
    yield bus
    bus.close()


@pytest.fixture
def champion(bus: Bus, settings: Settings, tmp_path: Path) -> str:
    return registered(bus, settings, tmp_path / "champion", slope=20.0)


@pytest.fixture
def candidate(bus: Bus, settings: Settings, tmp_path: Path) -> str:
    return registered(bus, settings, tmp_path / "candidate", slope=30.0)


def registered(bus: Bus, settings: Settings, folder: Path, slope: float) -> str:
    """The digest of a release that reports scores from 0.5 on."""
    make_release(folder, slope=slope)
    release = put(load_release(folder), settings.registry_url)
    Lines(bus, SystemClock()).register(release)
    return release.digest


def told(bus: Bus, *nouns: Record) -> None:
    outputs = [encode(noun, topic=FRAMES if isinstance(noun, Frame) else DETECTIONS, at_ms=0) for noun in nouns]
    bus.member("test", ()).commit(outputs, {})


def seen(sequence: int, *shown: Detection, model: str, camera: str = CAM) -> FrameDetections:
    return frame(sequence, START + 200 * sequence, *shown, camera=camera, model=model)


def picture(sequence: int, level: int, camera: str = CAM) -> Frame:
    return Frame(
        camera=camera,
        epoch=1,
        sequence=sequence,
        captured_at_ms=START + 200 * sequence,
        interval_ms=200,
        jpeg=jpeg(level, **SIZE),
        **SIZE,
    )


def test_where_nobody_looked_nothing_is_hard(command: Command, bus: Bus) -> None:
    assert command("hard-frames") == (0, NOTHING, "")


def test_hard_frames_are_rows_on_the_rooms_clock_and_the_hardest_comes_first(
    command: Command, bus: Bus, champion: str
) -> None:
    told(
        bus,
        seen(0, at(1, score=0.56), model=champion),
        seen(1, at(1, score=0.51), model=champion),
        seen(2, at(1, "stand-up", 0.59), model=champion),
        seen(3, at(1, score=0.95), model=champion),
        seen(4, at(1, score=0.9), model=champion),
    )
    assert command("hard-frames") == (
        0,
        (
            "room      camera  from                   to          behaviour     reason            frames\n"
            "t/s/room  cam     2026-03-02 08:00:00.0  08:00:00.2  hand-raising  unsure 0.51–0.56  2\n"
            "t/s/room  cam     2026-03-02 08:00:00.6  08:00:00.6  hand-raising  flickers          1\n"
            "t/s/room  cam     2026-03-02 08:00:00.4  08:00:00.4  stand-up      unsure 0.59–0.59  1\n"
            "3 of 3 rows; hard frames: 1 flickers, 3 unsure\n"
            "5 frames were looked at\n"
        ),
        "",
    )


def test_as_json_each_row_is_a_line(command: Command, bus: Bus, champion: str) -> None:
    told(bus, seen(0, at(1, score=0.56), model=champion), seen(1, at(1, score=0.51), model=champion))
    code, out, err = command("hard-frames", "--json")
    assert (code, err) == (0, "1 of 1 rows; hard frames: 2 unsure\n2 frames were looked at\n")
    assert [json.loads(text) for text in out.splitlines()] == [
        {
            "room": ROOM,
            "camera": CAM,
            "from": "2026-03-02T07:00:00.000Z",
            "to": "2026-03-02T07:00:00.200Z",
            "behaviour": "hand-raising",
            "reason": "unsure",
            "scores": [0.51, 0.56],
            "frames": 2,
        }
    ]


def test_rooms_times_lines_and_most_choose(command: Command, bus: Bus, champion: str, candidate: str) -> None:
    Lines(bus, SystemClock()).change("main", lambda line: promoted(line, champion))
    told(
        bus,
        seen(0, at(1, score=0.55), model=champion),
        seen(50, at(1, score=0.55), model=candidate),
        seen(0, at(1, score=0.55), model=champion, camera=f"{OTHER}/cam"),
    )

    def rooms_and_seconds(*words: str) -> list[tuple[str, int]]:
        found = [json.loads(text) for text in command("hard-frames", "--json", *words).out.splitlines()]
        return sorted((one["room"], int(one["from"][17:19])) for one in found)

    assert rooms_and_seconds() == [(OTHER, 0), (ROOM, 0), (ROOM, 10)]
    assert rooms_and_seconds("--room", "room") == [(ROOM, 0), (ROOM, 10)]
    assert rooms_and_seconds("--room", "room", "--room", OTHER) == [(OTHER, 0), (ROOM, 0), (ROOM, 10)]
    assert rooms_and_seconds("--from", "2026-03-02T08:00:00.001+01:00") == [(ROOM, 10)]
    assert rooms_and_seconds("--to", "2026-03-02T08:00:10+01:00") == [(OTHER, 0), (ROOM, 0)]
    assert rooms_and_seconds("--line", "main") == [(OTHER, 0), (ROOM, 0)]
    assert rooms_and_seconds("--most", "1") == [(ROOM, 10)]
    assert "1 of 3 rows; hard frames: 3 unsure\n" in command("hard-frames", "--most", "1").out


def test_a_release_that_is_not_known_is_said_once_and_its_scores_are_counted_out(
    command: Command, bus: Bus, champion: str
) -> None:
    told(bus, *(seen(n, at(1, score=0.55), model="f" * 64) for n in range(3)), seen(3, model=champion))
    assert command("hard-frames") == (
        0,
        (
            "0 of 0 rows; hard frames: none\n"
            "4 frames were looked at, 3 of them by releases that are not known: their scores say nothing\n"
        ),
        f"release {'f' * 12}: not registered; expected `classpulse models register`; its scores are not judged\n",
    )


def hand_in(settings: Settings, folder: Path) -> Detection:
    """What the candidate sees in a bright picture."""
    ((one,),) = eyes_of(load_release(folder), settings).see([decode_picture(picture(0, BRIGHT))])
    return one


def test_a_candidate_is_compared_on_the_pictures_that_are_there(
    command: Command, bus: Bus, settings: Settings, champion: str, candidate: str, tmp_path: Path
) -> None:
    hand = hand_in(settings, tmp_path / "candidate")
    elsewhere = Detection(behaviour="hand-raising", score=0.9, box_xyxy=(0.8, 0.8, 0.9, 0.9))
    told(bus, *(picture(n, level) for n, level in enumerate((BRIGHT, BRIGHT, DARK, DARK, BRIGHT, BRIGHT))))
    told(
        bus,
        seen(0, hand, model=champion),
        seen(1, model=champion),
        seen(2, elsewhere, model=champion),
        seen(3, model=champion),
        seen(4, elsewhere, model=champion),
        seen(5, model=candidate),
        seen(6, elsewhere, model=champion),
    )
    code, out, err = command("hard-frames", "--candidate", candidate[:8], "--json")
    rows = [json.loads(text) for text in out.splitlines()]
    assert (code, [(row["reason"], row["frames"]) for row in rows if row["reason"] != "flickers"]) == (
        0,
        [("only candidate", 2), ("only champion", 2)],
    )
    assert err.splitlines()[-1] == "candidate: 5 pictures compared, 1 are gone, 1 were its own"


def test_pictures_of_other_rooms_and_times_are_not_looked_at(
    command: Command, bus: Bus, champion: str, candidate: str
) -> None:
    told(bus, picture(0, BRIGHT), picture(1, BRIGHT), picture(0, BRIGHT, f"{OTHER}/cam"))
    told(bus, seen(0, model=champion), seen(1, model=champion), seen(0, model=champion, camera=f"{OTHER}/cam"))
    words = ("--candidate", candidate, "--room", ROOM, "--to", "2026-03-02T08:00:00.1+01:00")
    assert (
        command("hard-frames", *words).out.splitlines()[-1]
        == "candidate: 1 pictures compared, 0 are gone, 0 were its own"
    )


def test_pictures_that_retention_took_are_counted_as_gone(
    command: Command, bus: Bus, champion: str, candidate: str
) -> None:
    told(bus, *(picture(n, BRIGHT) for n in range(4)))
    told(bus, *(seen(n, model=champion) for n in range(4)))
    bus.forget(FRAMES, {partition_of(CAM, FRAMES.partitions): 3})
    out = command("hard-frames", "--candidate", candidate).out
    assert out.splitlines()[-1] == "candidate: 1 pictures compared, 3 are gone, 0 were its own"


def test_pictures_are_read_by_detects_rights(
    command: Command, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if each had a bus of its own."""
    monkeypatch.setenv("CLASSPULSE_BUS", f"sqlite://{tmp_path}/{{stage}}.sqlite")
    for user in ("detect", "operator"):
        bus = prepare_bus(Settings(data=settings.data, bus=f"sqlite://{tmp_path}/{user}.sqlite"))
        digest = registered(bus, settings, tmp_path / "release", slope=20.0)
        told(bus, seen(0, model="f" * 64) if user == "operator" else picture(0, BRIGHT))
        bus.close()
    out = command("hard-frames", "--candidate", digest).out
    assert out.splitlines()[-1] == "candidate: 1 pictures compared, 0 are gone, 0 were its own"


def test_no_file_is_written(
    command: Command, bus: Bus, champion: str, candidate: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(bus, picture(0, BRIGHT), seen(0, model=champion), seen(1, at(1, score=0.55), model=champion))
    bus.close()
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setattr("tempfile.tempdir", None)

    def files() -> dict[Path, bytes]:
        """Every file; of the bus what is behind its header, where SQLite counts who has opened it."""
        found = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        return {path: told[100:] if path.name == "bus.sqlite" else told for path, told in found.items()}

    before = files()
    assert "1 only candidate" in command("hard-frames", "--candidate", candidate).out
    assert files() == before


def test_an_erased_room_gives_nothing(command: Command, settings: Settings, tmp_path: Path) -> None:
    settings.data.mkdir()
    bus = SqliteBus(settings.data / "bus.sqlite")
    rig = rig_on(bus)
    digest = registered(bus, settings, tmp_path / "release", slope=20.0)
    told(bus, *(picture(n, BRIGHT) for n in range(300)))
    for n in range(300):
        rig.tell([frame(n, LESSON_START + 200 * n, at(1, score=0.55), camera=f"{ROOM}/cam", model=digest)])
    rig.tell([ended(ROOM)])
    rig.turn()
    bus.close()

    assert "hard frames: 300 unsure" in command("hard-frames").out
    other = registered_again(settings, tmp_path)
    erased = command("erase", ROOM, "--from", moment(0), "--to", moment(60), "--yes")
    assert erased.code == 0, erased.err
    assert (
        command("hard-frames", "--candidate", other).out
        == f"{NOTHING}candidate: 0 pictures compared, 0 are gone, 0 were its own\n"
    )


def registered_again(settings: Settings, tmp_path: Path) -> str:
    """The digest of another release."""
    bus = prepare_bus(settings)
    digest = registered(bus, settings, tmp_path / "other", slope=30.0)
    bus.close()
    return digest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--candidate", "ab"), "digest = 'ab': no such release; expected one of "),
        (("--room", "nowhere"), "room = 'nowhere': no such room; expected tenant/school/room; the nearest is"),
        (("--from", "noon"), "--from = 'noon': expected RFC 3339 such as"),
        (
            ("--line", "cake"),
            "--line = 'cake': no line with a champion; expected one of none: `classpulse models promote`",
        ),
    ],
)
def test_what_is_asked_wrongly_is_one_line(
    command: Command, bus: Bus, champion: str, words: tuple[str, ...], said: str
) -> None:
    told(bus, seen(0, at(1, score=0.55), model=champion))
    result = command("hard-frames", *words)
    assert (result.code, result.out, len(result.err.splitlines())) == (2, "", 1)
    assert result.err.startswith(f"classpulse: {said}")


def test_without_a_bus_none_is_made(command: Command, tmp_path: Path) -> None:
    assert command("hard-frames").code == 2
    assert not (tmp_path / "data").exists()
