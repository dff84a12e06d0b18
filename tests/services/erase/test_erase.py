"""What is erased is found by no reader, comes back by no way, and takes nothing of others along."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from classpulse.bus.base import Bus
from classpulse.bus.sqlite import SqliteBus
from classpulse.erase.erase import erase, plan, whole_buckets
from classpulse.erase.window import Window
from classpulse.errors import BadInput
from classpulse.faults import POINTS
from classpulse.records import RoomConfig
from classpulse.replay import replay
from classpulse.topics import DEAD_LETTERS, DETECTIONS, EVENTS, TIMELINES, Topic
from tests.services.aggregate.rig import Rig
from tests.services.aggregate.stories import ROOM
from tests.services.cli.conftest import Command
from tests.services.erase.lessons import (
    NEIGHBOUR,
    PARTITION,
    START,
    buckets,
    ended,
    events,
    lesson,
    moment,
    play,
    played,
    records,
)
from tests.services.export.school import bus_in, rows, run

KILLED = -9
WINDOW = ("--from", moment(21), "--to", moment(39))
"""Of the third and the fourth bucket."""

LEFT = [0, 10, 40, 50]
ALL = [0, 10, 20, 30, 40, 50]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    played(tmp_path / "data")
    return tmp_path / "data"


def test_a_window_in_which_nothing_was_seen_is_erased_already(command: Command, data: Path) -> None:
    done = command("erase", ROOM, "--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z", "--yes")
    assert done.code == 0
    assert "left in classpulse.events.v1: 0\n" in done.out
    assert done.out.endswith("erased: a reader finds nothing of it\n")


def test_it_says_what_would_go_and_does_nothing_without_yes(command: Command, data: Path) -> None:
    before = state(data)
    said = command("erase", "room", *WINDOW)
    assert (said.code, said.err) == (0, "nothing was erased; --yes does it\n")
    assert f"{ROOM} from {moment(20)} to {moment(40)}, in whole buckets" in said.out
    assert "classpulse.events.v1: 4; 11 others before them move to the end, with the same ce_id" in said.out
    assert "classpulse.timelines.v1: 2\n" in said.out
    assert "classpulse.detections.v1: 100; " in said.out
    assert "classpulse.deadletters.v1: 1; 1 others before them go too" in said.out
    assert state(data) == before


def state(data: Path) -> dict[str, list[tuple[int, bytes | None]]]:
    with bus_in(data) as bus:
        return {
            topic.name: [(record.offset, record.value) for record in records(bus, topic, partition)]
            for topic, partition in (
                (EVENTS, PARTITION),
                (TIMELINES, PARTITION),
                (DETECTIONS, PARTITION),
                (DEAD_LETTERS, 0),
            )
        }


def test_what_is_erased_is_gone_and_all_else_is_there(command: Command, data: Path) -> None:
    with bus_in(data) as bus:
        before, others = events(bus, ROOM), events(bus, NEIGHBOUR)
    done = command("erase", ROOM, *WINDOW, "--yes")
    assert (done.code, done.err) == (0, "")
    with bus_in(data) as bus:
        assert sorted(events(bus, ROOM)) == sorted(one for one in before if one[2] not in (20, 30))
        assert sorted(events(bus, NEIGHBOUR)) == sorted(others)
        assert buckets(bus, ROOM) == [0, 10, 40, 50]
        assert buckets(bus, NEIGHBOUR) == [0, 10, 20, 30, 40, 50]
        assert [one.key for one in records(bus, DEAD_LETTERS, 0)] == [DETECTIONS.name]


def test_a_replay_and_an_aggregator_that_starts_anew_bring_nothing_back(command: Command, data: Path) -> None:
    command("erase", ROOM, *WINDOW, "--yes")
    replayed = command("replay").out
    assert f"{ROOM}: its oldest detections are gone (expired, or erased); compared nowhere yet" in replayed
    assert "NOT equal" not in replayed
    with bus_in(data) as bus:
        rig = Rig(bus)  # type: ignore[arg-type]
        rig.tell(lesson(ROOM))  # all of it once more, as a bridge may
        rig.room(RoomConfig(room=ROOM, views="disjoint"))
        rig.turn()  # logs the room's plan, from which on a replay can compare again
        later = START + 60_000
        rig.tell([*lesson(ROOM, later, epoch=2), ended(ROOM, later, epoch=2)])
        rig.turn()
        assert buckets(bus, ROOM) == [*LEFT, *range(60, 120, 10)]
        assert not [one for one in events(bus, ROOM) if one[2] in (20, 30)]
        result = replay(bus)
        assert (result.equal, result.difference) == (True, None)
        assert result.buckets > 0
        assert result.from_ms[ROOM] is not None


def test_a_window_of_which_more_may_come_is_refused(command: Command, tmp_path: Path) -> None:
    played(tmp_path / "data", end=False)
    refused = command("erase", ROOM, "--from", moment(20), "--to", moment(60), "--yes")
    assert refused.code == 2
    assert f"buckets are final up to {moment(50)} only; expected a window of which nothing more can come" in refused.err
    assert command("erase", ROOM, "--from", moment(20), "--to", moment(40), "--yes").code == 0


def test_detections_that_aggregate_has_not_read_are_not_cut_off(command: Command, data: Path) -> None:
    with bus_in(data) as bus:
        Rig(bus).tell(lesson(ROOM, epoch=2))  # type: ignore[arg-type]
    refused = command("erase", ROOM, *WINDOW, "--yes")
    assert (refused.code, "aggregate has not read all its detections" in refused.err) == (2, True)


def test_wrong_rooms_limits_and_folders_are_named(command: Command, data: Path, tmp_path: Path) -> None:
    room = command("erase", "rom", *WINDOW)
    assert (room.code, "room = 'rom': no such room" in room.err) == (2, True)
    limits = command("erase", ROOM, "--from", moment(9), "--to", moment(9))
    assert (limits.code, "--to = " in limits.err) == (2, True)
    folder = command("erase", ROOM, *WINDOW, "--exports", str(tmp_path / "none"))
    assert (folder.code, "no manifest.json in it; expected the folder of an export" in folder.err) == (2, True)


def exported(folder: Path, room: str) -> tuple[list[int], list[int]]:
    """Seconds at which the room's buckets and events begin, each as often as it is there."""
    begins = f"(start_ms - {START}) // 1000"
    found = rows(folder, "timelines", begins, f"room = '{room}' AND behaviour = 'sleeping'")
    return [at for (at,) in found], [at for (at,) in rows(folder, "events", begins, f"room = '{room}'")]


def test_an_export_is_erased_from_too_and_goes_on_as_before(command: Command, data: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "out", tmp_path / "other"
    command("export", "--parquet", str(folder))
    command("export", "--parquet", str(other))
    assert exported(folder, ROOM) == (ALL, ALL)
    done = command("erase", ROOM, *WINDOW, "--exports", str(folder), "--yes")
    assert done.code == 0
    assert f"{folder}/timelines: 6\n" in done.out
    assert f"left in {folder}/events: 0\n" in done.out
    again = command("export", "--parquet", str(folder))
    assert (again.code, again.out) == (0, "exported 0 final buckets and 0 ended events into 0 new files\n")
    assert (exported(folder, ROOM), exported(folder, NEIGHBOUR)) == ((LEFT, LEFT), (ALL, ALL))

    late = command("erase", ROOM, *WINDOW, "--exports", str(other), "--yes")
    assert (late.code, exported(other, ROOM)) == (0, (LEFT, LEFT))
    fresh = tmp_path / "fresh"
    command("export", "--parquet", str(fresh))
    assert (exported(fresh, ROOM), exported(fresh, NEIGHBOUR)) == ((LEFT, LEFT), (ALL, ALL))


def test_an_export_that_was_behind_misses_nothing_that_stays(command: Command, tmp_path: Path) -> None:
    data, folder = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    with bus_in(data):
        pass
    command("export", "--parquet", str(folder))
    with bus_in(data) as bus:
        play(bus)
    command("erase", ROOM, *WINDOW, "--exports", str(folder), "--yes")
    assert command("export", "--parquet", str(folder)).code == 0
    assert (exported(folder, ROOM), exported(folder, NEIGHBOUR)) == ((LEFT, LEFT), (ALL, ALL))


PASSES = ("erase.inputs_cut:1", "erase.deleted:1", "erase.republished:1", "erase.events_cut:1", "export.shown:1")
"""The last: in the middle of the files."""


def test_every_point_of_an_erasure_is_killed_here() -> None:
    assert {point for point in POINTS if point.startswith("erase.")} <= {one.partition(":")[0] for one in PASSES}


@pytest.mark.parametrize("fault", PASSES)
def test_an_erasure_that_was_killed_is_ended_by_the_next(fault: str, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    run(data, "export", "--parquet", str(folder))
    with bus_in(data) as bus:
        others = events(bus, NEIGHBOUR)
    words = ("erase", ROOM, *WINDOW, "--exports", str(folder), "--yes")
    assert run(data, *words, fault=f"erase/{fault}").returncode == KILLED
    assert "NOT equal" not in run(data, "replay").stdout
    done = run(data, *words)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "erased: a reader finds nothing of it")
    assert run(data, "export", "--parquet", str(folder)).returncode == 0
    assert (exported(folder, ROOM), exported(folder, NEIGHBOUR)) == ((LEFT, LEFT), (ALL, ALL))
    with bus_in(data) as bus:
        assert sorted(events(bus, NEIGHBOUR)) == sorted(others)
        assert buckets(bus, ROOM) == LEFT


class Forgetful(SqliteBus):
    """A bus that says it removed records and did not."""

    def forget(self, topic: Topic, before: Mapping[int, int]) -> int:
        return 0


def test_what_is_left_is_counted_by_reading_not_by_trust(data: Path) -> None:
    bus: Bus = Forgetful(data / "bus.sqlite")
    window = whole_buckets(bus, Window(ROOM, START + 21_000, START + 39_000), ())
    left = erase(bus, window, plan(bus, window, ()), ())
    bus.close()
    assert {name: count for name, count in left.counts().items() if count} == {
        EVENTS.name: 4,
        DETECTIONS.name: 100,
        DEAD_LETTERS.name: 1,
    }


def test_an_event_that_still_lasts_holds_its_window(data: Path) -> None:
    with bus_in(data) as bus:
        rig = Rig(bus)  # type: ignore[arg-type]
        rig.tell(lesson(ROOM, START + 60_000, epoch=2)[:10])
        rig.turn()
        window = Window(ROOM, START + 50_000, START + 60_000)
        with pytest.raises(BadInput, match=r"buckets are final up to .* only; expected"):
            plan(bus, Window(ROOM, window.start_ms, START + 61_000), ())
        assert plan(bus, window, ()).open_ms is None
