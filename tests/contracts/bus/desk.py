"""What the contract asks of a bus, said shortly: topics of its own, records to write, and reading until enough came.

A row of BUSES is all that a new bus adds. Nothing here or in the tests reaches behind the seam.
"""

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from classpulse.bus.base import Bus, Member, Place, open_bus
from classpulse.codec import Headers, Outgoing, Stored
from classpulse.topics import Topic
from tests.brokers import running

PATIENCE_S = 20.0
"""How long a test waits for records or partitions that must come."""

ROOMY = 8 * 1024 * 1024


@dataclass(frozen=True)
class Row:
    """A bus under contract.

    `reopens`: a second bus on the same url sees the same records. `holes_per_step`: how many offsets of a partition a
    step may take beside those of its records (transaction markers); lag may count them.
    """

    url: Callable[[Path], str]
    reopens: bool
    holes_per_step: int = 0


BUSES: dict[str, Row] = {
    "memory": Row(lambda _: "memory://", reopens=False),
    "sqlite": Row(lambda folder: f"sqlite://{folder}/bus.sqlite", reopens=True),
    "kafka": Row(lambda _: running("plain").url(), reopens=True, holes_per_step=1),
}


class Desk:
    """A bus with what a test needs at hand; every topic and group is used by one test only."""

    def __init__(self, row: Row, folder: Path) -> None:
        self.row = row
        self._url = row.url(folder)
        self._buses = [open_bus(self._url)]
        self.members: list[Member] = []

    @property
    def bus(self) -> Bus:
        """The bus under test."""
        return self._buses[-1]

    def reopen(self) -> None:
        """Go on as after a restart of the process, where the bus keeps its records."""
        if self.row.reopens:
            self._buses.append(open_bus(self._url))

    def close(self) -> None:
        """Let go of everything."""
        for member in self.members:
            member.close()
        for bus in self._buses:
            bus.close()

    def name(self) -> str:
        """A name nobody else uses."""
        return f"contract-{uuid.uuid4().hex[:12]}"

    def topic(self, **changes: object) -> Topic:
        """Make a topic of 4 partitions that keeps everything, but for the changes."""
        plain = Topic(
            name=self.name(),
            key="camera",
            partitioned_by="camera",
            partitions=4,
            cleanup="delete",
            retention_ms=None,
            retention_bytes=None,
            max_record_bytes=100_000,
            pictures=False,
            nouns=(),
        )
        topic = replace(plain, **changes)  # type: ignore[arg-type]
        self.bus.create([topic])
        return topic

    def compacted(self, **changes: object) -> Topic:
        """Make a compacted topic."""
        return self.topic(cleanup="compact", **changes)

    def member(
        self, group: str, topics: Iterable[Topic] = (), *, index: int = 0, count: int = 1, slot: str = ""
    ) -> Member:
        """Join, to be closed with the desk."""
        joined = self.bus.member(group, list(topics), index=index, count=count, slot=slot)
        self.members.append(joined)
        return joined

    def publish(self, *outputs: Outgoing) -> None:
        """Append in one step of a publisher of its own."""
        self.member(self.name()).commit(outputs, {})

    def publish_values(self, topic: Topic, values: Iterable[bytes], *, partition: int = 0) -> None:
        """Append plain values under one key in one step."""
        self.publish(*(out(topic, value, partition=partition) for value in values))

    def all_values(self, topic: Topic) -> dict[int, list[bytes | None]]:
        """Per partition, every committed value."""
        ends = self.bus.ends(topic)
        return {p: [r.value for r in self.fetch_all(topic, p)] for p in ends}

    def fetch_all(self, topic: Topic, partition: int = 0) -> list[Stored]:
        """Every committed record of a partition."""
        found: list[Stored] = []
        offset = 0
        while batch := self.bus.fetch(Place(topic.name, partition), offset, max_records=1000, max_bytes=ROOMY):
            found += batch
            offset = batch[-1].offset + 1
        return found


def out(
    topic: Topic, value: bytes | None, *, key: str = "school/room/camera", partition: int = 0, headers: Headers = ()
) -> Outgoing:
    """A record on its way."""
    return Outgoing(topic.name, partition, key, value, headers)


def poll_until(member: Member, count: int, *, max_records: int = 64, max_bytes: int = ROOMY) -> list[Stored]:
    """Poll until `count` records came; fails with what came when they do not."""
    came: list[Stored] = []
    give_up = time.monotonic() + PATIENCE_S
    while len(came) < count:
        assert time.monotonic() < give_up, f"{len(came)} of {count} records came in {PATIENCE_S} s"
        came += member.poll(max_records=max_records, max_bytes=max_bytes, timeout_ms=500)
    return came


def poll_nothing(member: Member) -> None:
    """Nothing is there to be read."""
    assert member.poll(max_records=64, max_bytes=ROOMY, timeout_ms=100) == []


def after(records: Iterable[Stored]) -> dict[Place, int]:
    """The positions that say these records are done."""
    return {Place(record.topic, record.partition): record.offset + 1 for record in records}


def values(records: Iterable[Stored]) -> list[bytes | None]:
    """What they carry."""
    return [record.value for record in records]
