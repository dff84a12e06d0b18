"""A copy of what a cluster remembers, in plain files, and a cluster that goes on from it.

Everything but pictures and reports: what is declared (cameras, rooms, models), what was seen (detections, events, timelines),
what the stages remember, and how far aggregate has read. Aggregate must stand still meanwhile, because its state and its
position belong together; ingest and detect may go on. Files are JSON lines in gzip, one file a topic; the manifest with their
digests is written last, so that a folder without one is no backup.
"""

import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from classpulse.bus.base import DEADLINE_MS, Bus, Place
from classpulse.clock import Clock
from classpulse.codec import Outgoing, Stored
from classpulse.errors import BadInput, Recoverable
from classpulse.reading import stored_records
from classpulse.topics import AGGREGATE_STATE, DETECTIONS, EVENTS, FRAMES, REPORTS, TIMELINES, TOPICS, Topic, short_name

GROUP = "aggregate"
VERSION = 1
MANIFEST = "manifest.json"
KEPT = tuple(topic for topic in TOPICS.values() if topic not in (FRAMES, REPORTS))
STEP_BYTES = 8 * 1024 * 1024
STEP_RECORDS = 2_000
"""So much is written back at once."""

TRIES, PAUSE_MS = 10, 1_000
"""So often is a step tried that the brokers did not take, with a pause between."""

JOINED_WITHIN_MS = 6 * DEADLINE_MS

Advance = Callable[[int], None]
T = TypeVar("T")


class Line(msgspec.Struct, array_like=True):
    """A record as a backup keeps it; bytes are base64 in JSON."""

    partition: int
    offset: int
    key: str
    value: bytes
    headers: list[tuple[str, bytes]]


class Kept(msgspec.Struct):
    """A topic's file."""

    partitions: int
    records: int
    sha256: str


class Manifest(msgspec.Struct):
    """What a folder holds. `read_to`: per partition of detections, the next offset aggregate would have read."""

    version: int
    taken_at_ms: int
    topics: dict[str, Kept]
    read_to: dict[int, int]


def back_up(bus: Bus, folder: Path, clock: Clock, advance: Advance = lambda _: None) -> Manifest:
    """Copy a bus into an empty folder. Raises BadInput for another folder, and where aggregate is at work or was meanwhile."""
    _check_still(bus, clock)
    if folder.exists() and any(folder.iterdir()):
        raise BadInput([f"{folder}: not empty; expected a new folder for each backup"])
    folder.mkdir(parents=True, exist_ok=True)
    before = _aggregates(bus)
    kept = {short_name(topic): _copied(folder, topic, _records(bus, topic), advance) for topic in KEPT}
    if _aggregates(bus) != before:
        raise BadInput(
            [
                "aggregate wrote while it was copied; expected that no aggregate runs: its state and position belong together"
            ]
        )
    manifest = Manifest(VERSION, clock.now_ms(), kept, before[0])
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
    return manifest


def checked(folder: Path) -> Manifest:
    """The manifest of a backup, all of whose files are whole. Raises BadInput with every fault."""
    path = folder / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise BadInput([f"{folder}: there is no {MANIFEST}; expected the folder of a finished backup"]) from error
    except msgspec.DecodeError as error:
        raise BadInput([f"{path}: {error}; expected what `classpulse backup` wrote"]) from error
    if manifest.version != VERSION:
        raise BadInput([f"{path}: version {manifest.version}; expected {VERSION}"])
    faults = [fault for name, kept in manifest.topics.items() if (fault := _fault_of(folder, name, kept))]
    if faults:
        raise BadInput(faults)
    return manifest


def restore(
    bus: Bus, folder: Path, manifest: Manifest, clock: Clock, advance: Advance = lambda _: None
) -> dict[str, int]:
    """Write a backup into empty topics and let aggregate go on where it was; gives how many records each topic got.

    Raises BadInput, before anything is written, where aggregate is at work, or a topic has records or another number of
    partitions; Recoverable where the brokers stop taking what is written: the topics have to be emptied then.
    """
    _check_still(bus, clock)
    topics = [topic for topic in KEPT if short_name(topic) in manifest.topics]
    if faults := [fault for topic in topics if (fault := _taken(bus, topic, manifest))]:
        raise BadInput(faults)
    publisher = bus.member(GROUP, (), slot="restore")

    def commit(step: list[Outgoing]) -> None:
        _insisting(lambda: publisher.commit(step, {}), clock)
        advance(len(step))

    try:
        for topic in topics:
            if topic != DETECTIONS:
                _write(commit, topic, _lines(folder, topic))
        _write(commit, DETECTIONS, _detections(folder, manifest, read=True))
        _go_on(bus, {Place(DETECTIONS.name, part): end for part, (_, end) in bus.ends(DETECTIONS).items()}, clock)
        _write(commit, DETECTIONS, _detections(folder, manifest, read=False))
    finally:
        publisher.close()
    return {short_name(topic): sum(1 for _ in _records(bus, topic)) for topic in topics}


def _check_still(bus: Bus, clock: Clock) -> None:
    """Raises BadInput where a broker knows of an aggregate at work; a fresh one has to be asked twice."""
    if held := _insisting(lambda: bus.holders(GROUP), clock):
        who = ", ".join(f"{GROUP} {index} ({name})" for index, name in sorted(held.items()))
        raise BadInput([f"{who}: at work, or ended less than a session ago; expected that no aggregate runs"])


def _insisting(what: Callable[[], T], clock: Clock) -> T:
    """Do it, and again where the brokers could not for now. Raises Recoverable after so many tries."""
    for _ in range(TRIES - 1):
        try:
            return what()
        except Recoverable:
            clock.sleep_ms(PAUSE_MS)
    return what()


def _aggregates(bus: Bus) -> tuple[dict[int, int], list[dict[int, tuple[int, int]]]]:
    """How far aggregate has read, and where what it writes ends."""
    return bus.positions(GROUP, DETECTIONS), [bus.ends(topic) for topic in (AGGREGATE_STATE, EVENTS, TIMELINES)]


def _records(bus: Bus, topic: Topic) -> Iterator[Stored]:
    """What is to be kept of a topic, partition by partition: of a compacted one the latest record of each key."""
    for partition in range(topic.partitions):
        if topic.cleanup == "compact":
            yield from bus.latest(topic, partition=partition)
        else:
            yield from stored_records(bus, topic, partition)


def _copied(folder: Path, topic: Topic, records: Iterable[Stored], advance: Advance) -> Kept:
    path, count = _path(folder, short_name(topic)), 0
    with gzip.open(path, "wb", compresslevel=6) as file:
        for record in records:
            line = Line(record.partition, record.offset, record.key, record.value or b"", list(record.headers))
            file.write(msgspec.json.encode(line) + b"\n")
            count += 1
            advance(1)
    return Kept(topic.partitions, count, _digest(path))


def _fault_of(folder: Path, name: str, kept: Kept) -> str | None:
    """What is wrong with a file; None where nothing is."""
    path = _path(folder, name)
    if not path.exists():
        return f"{path}: not there; expected {kept.records} records"
    return None if _digest(path) == kept.sha256 else f"{path}: another digest; expected what the manifest says"


def _taken(bus: Bus, topic: Topic, manifest: Manifest) -> str | None:
    """Why a topic cannot take its records back; None where it can."""
    if topic.partitions != (found := manifest.topics[short_name(topic)].partitions):
        return f"topic {topic.name}: {topic.partitions} partitions; expected {found}, as in the backup"
    records = sum(end - first for first, end in bus.ends(topic).values())
    return f"topic {topic.name}: holds records already; expected an empty one" if records else None


def _lines(folder: Path, topic: Topic) -> Iterator[Line]:
    decode = msgspec.json.Decoder(Line).decode
    with gzip.open(_path(folder, short_name(topic)), "rb") as file:
        yield from map(decode, file)


def _detections(folder: Path, manifest: Manifest, *, read: bool) -> Iterator[Line]:
    """What aggregate had read already, or what it had not."""
    for line in _lines(folder, DETECTIONS):
        if (line.offset < manifest.read_to.get(line.partition, 0)) == read:
            yield line


def _write(commit: Callable[[list[Outgoing]], None], topic: Topic, lines: Iterable[Line]) -> None:
    """In their order, in steps."""
    step: list[Outgoing] = []
    size_bytes = 0
    for line in lines:
        output = Outgoing(topic.name, line.partition, line.key, line.value, tuple(line.headers))
        if step and (len(step) == STEP_RECORDS or size_bytes + output.size_bytes > STEP_BYTES):
            commit(step)
            step, size_bytes = [], 0
        step.append(output)
        size_bytes += output.size_bytes
    commit(step)


def _go_on(bus: Bus, positions: Mapping[Place, int], clock: Clock) -> None:
    """Commit aggregate's positions as its only member. Raises BadInput where another is in its group."""
    member = bus.member(GROUP, [DETECTIONS])
    give_up_ms = clock.monotonic_ms() + JOINED_WITHIN_MS
    try:
        while not positions.keys() <= member.assignment():
            if clock.monotonic_ms() > give_up_ms:
                raise BadInput([f"group {GROUP}: another is in it; expected that no aggregate runs"])
            member.poll(max_records=0, max_bytes=0, timeout_ms=100)
        _insisting(lambda: member.commit((), positions), clock)
    finally:
        member.close()


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.jsonl.gz"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
