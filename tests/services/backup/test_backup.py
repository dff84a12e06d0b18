"""A backup holds what a bus remembers but for pictures, and an empty bus goes on from it as if nothing had been."""

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from classpulse.backup import KEPT, MANIFEST, back_up, checked, restore
from classpulse.bus.base import Bus, Place
from classpulse.bus.memory import MemoryBus, MemoryMember
from classpulse.clock import ManualClock
from classpulse.codec import Outgoing, encode
from classpulse.errors import BadInput, Recoverable
from classpulse.records import Frame
from classpulse.topics import AGGREGATE_STATE, DETECTIONS, EVENTS, FRAMES, TOPICS, short_name
from tests.services.aggregate.rig import Rig
from tests.services.backup.lessons import declared, halves, said, undisturbed

NOW_MS = 1_795_000_000_000
JPEG = b"\xff\xd8 a picture of somebody"


def half_done() -> Rig:
    """Aggregate has read the first part; the rest waits for it."""
    rig = Rig()
    first, rest = halves()
    rig.write(*declared())
    rig.turn()
    rig.write(*first)
    rig.turn()
    rig.write(*rest)
    return rig


def empty() -> Bus:
    bus = MemoryBus(clock=ManualClock())
    bus.create(tuple(TOPICS.values()))
    return bus


def test_a_bus_that_holds_nothing_gives_a_backup_of_nothing(tmp_path: Path) -> None:
    back_up(empty(), tmp_path / "copy", ManualClock(NOW_MS))
    manifest = checked(tmp_path / "copy")
    assert set(manifest.topics) == {short_name(topic) for topic in TOPICS.values()} - {"frames", "reports"}
    assert sum(restore(empty(), tmp_path / "copy", manifest, ManualClock()).values()) == 0


def test_an_empty_bus_goes_on_from_a_backup_as_if_nothing_had_been(tmp_path: Path) -> None:
    rig = half_done()
    before = said(rig.bus)
    back_up(rig.bus, tmp_path / "copy", ManualClock(NOW_MS))
    manifest = checked(tmp_path / "copy")
    other = MemoryBus(clock=ManualClock())
    other.create(tuple(TOPICS.values()))
    written = restore(other, tmp_path / "copy", manifest, ManualClock())
    assert written == {name: kept.records for name, kept in manifest.topics.items()}
    assert written[short_name(AGGREGATE_STATE)] > 0
    assert said(other) == before
    after = Rig(other)
    _, rest = halves()
    assert after.turn() == len(rest), "what aggregate had read it does not read again"
    assert after.bytes() == undisturbed()
    assert after.bytes() != before


def test_no_picture_is_in_a_backup(tmp_path: Path) -> None:
    rig = half_done()
    frame = Frame(
        camera="t/s/r/cam", epoch=1, sequence=0, captured_at_ms=1, interval_ms=200, width=8, height=8, jpeg=JPEG
    )
    rig.write(encode(frame, topic=FRAMES, at_ms=1))
    back_up(rig.bus, tmp_path / "copy", ManualClock(NOW_MS))
    files = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    assert set(files) == {MANIFEST, *(f"{short_name(topic)}.jsonl.gz" for topic in KEPT)}
    texts = [gzip.decompress(held) if name != MANIFEST else held for name, held in files.items()]
    assert not any(b"picture of somebody" in text or b"/9gg" in text for text in texts)


class Moving(MemoryBus):
    """A bus whose aggregate publishes while it is copied."""

    reads = 0

    def positions(self, group: str, topic: object) -> dict[int, int]:
        self.reads += 1
        found = super().positions(group, topic)  # type: ignore[arg-type]
        return {**found, 0: self.reads}


def test_a_copy_that_an_aggregate_wrote_into_is_no_backup(tmp_path: Path) -> None:
    bus = Moving(clock=ManualClock())
    bus.create(tuple(TOPICS.values()))
    with pytest.raises(BadInput, match="aggregate wrote while it was copied; expected that no aggregate runs"):
        back_up(bus, tmp_path / "copy", ManualClock(NOW_MS))
    with pytest.raises(BadInput, match=r"there is no manifest\.json; expected the folder of a finished backup"):
        checked(tmp_path / "copy")


class Held(MemoryBus):
    """A bus where an aggregate is at work."""

    def holders(self, group: str) -> dict[int, str]:
        return {3: "pod-3"} if group == "aggregate" else {}


def test_while_an_aggregate_is_at_work_nothing_is_copied_and_nothing_written_back(copy: Path, tmp_path: Path) -> None:
    bus = Held(clock=ManualClock())
    bus.create(tuple(TOPICS.values()))
    said = r"aggregate 3 \(pod-3\): at work, .*; expected that no aggregate runs"
    with pytest.raises(BadInput, match=said):
        back_up(bus, tmp_path / "other", ManualClock(NOW_MS))
    with pytest.raises(BadInput, match=said):
        restore(bus, copy, checked(copy), ManualClock())
    assert not (tmp_path / "other").exists()


class Refusing(MemoryBus):
    """A bus that takes every other step only."""

    turn = 0

    def apply(self, member: MemoryMember, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        self.turn += 1
        if self.turn % 2:
            raise Recoverable("not enough replicas; expected some")
        super().apply(member, outputs, positions)


def test_a_step_that_the_brokers_could_not_take_is_written_again_and_once(copy: Path) -> None:
    bus = Refusing(clock=ManualClock())
    bus.create(tuple(TOPICS.values()))
    manifest = checked(copy)
    assert restore(bus, copy, manifest, ManualClock()) == {name: kept.records for name, kept in manifest.topics.items()}


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(BadInput, match="not empty; expected a new folder for each backup"):
        back_up(empty(), tmp_path, ManualClock(NOW_MS))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    back_up(half_done().bus, tmp_path / "copy", ManualClock(NOW_MS))
    return tmp_path / "copy"


def test_every_file_that_is_not_as_it_was_written_is_named(copy: Path) -> None:
    (copy / "events.jsonl.gz").unlink()
    (copy / "timelines.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(BadInput) as raised:
        checked(copy)
    assert [fault.rpartition("/")[2].partition(";")[0] for fault in raised.value.faults] == [
        "events.jsonl.gz: not there",
        "timelines.jsonl.gz: another digest",
    ]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (b"{", r"expected what `classpulse backup` wrote"),
        (b'{"version":2,"taken_at_ms":1,"topics":{},"read_to":{}}', "version 2; expected 1"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(copy: Path, change: bytes, fault: str) -> None:
    (copy / MANIFEST).write_bytes(change)
    with pytest.raises(BadInput, match=fault):
        checked(copy)


def test_a_bus_that_holds_records_already_takes_none(copy: Path) -> None:
    bus = half_done().bus
    ends = {topic.name: bus.ends(topic) for topic in TOPICS.values()}
    with pytest.raises(
        BadInput, match=r"topic classpulse\.detections\.v1: holds records already; expected an empty one"
    ):
        restore(bus, copy, checked(copy), ManualClock())
    assert {topic.name: bus.ends(topic) for topic in TOPICS.values()} == ends


def test_a_topic_of_another_width_is_refused(copy: Path) -> None:
    manifest = checked(copy)
    narrow = msgspec.structs.replace(
        manifest, topics={**manifest.topics, "events": msgspec.structs.replace(manifest.topics["events"], partitions=6)}
    )
    with pytest.raises(BadInput, match=r"topic classpulse\.events\.v1: 12 partitions; expected 6, as in the backup"):
        restore(empty(), copy, narrow, ManualClock())


def test_what_can_be_computed_again_lies_in_the_order_it_was_told(copy: Path) -> None:
    bus = empty()
    restore(bus, copy, checked(copy), ManualClock())
    was = half_done().bus
    for topic in (DETECTIONS, EVENTS):
        for partition in range(topic.partitions):
            mine, theirs = (
                [
                    (r.key, r.value, r.headers)
                    for r in one.fetch(Place(topic.name, partition), 0, max_records=10**6, max_bytes=10**9)
                ]
                for one in (bus, was)
            )
            assert mine == theirs
