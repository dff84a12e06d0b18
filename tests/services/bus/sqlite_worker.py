"""A process of its own for tests of the SQLite bus: `python -m tests.services.bus.sqlite_worker VERB PATH ...`.

Verbs: `steps` copies its input into a log and counts it in a state, one atomic step a record, until the input ends;
`publish` appends numbered records to one partition; `watch` looks at the log without ever pausing, until it is killed.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from classpulse import faults
from classpulse.bus.base import Place
from classpulse.bus.sqlite import SqliteBus
from classpulse.codec import Outgoing
from classpulse.topics import Topic

MIB = 1024 * 1024


def topic(name: str, *, compact: bool = False, partitions: int = 2, retention_bytes: int | None = None) -> Topic:
    """A plain topic."""
    return Topic(
        name=name,
        key="camera",
        partitioned_by="camera",
        partitions=partitions,
        cleanup="compact" if compact else "delete",
        retention_ms=None,
        retention_bytes=retention_bytes,
        max_record_bytes=4 * MIB,
        pictures=False,
        nouns=(),
    )


SOURCE = topic("source")
SINK = topic("sink")
STATE = topic("state", compact=True)


def steps(path: str, index: str = "0", count: str = "1", fault: str = "") -> None:
    """Per record one step: a copy of it, the number of records so far, and the position."""
    if fault:
        faults.arm(fault)
    bus = SqliteBus(path)
    member = bus.member("worker", [SOURCE], index=int(index), count=int(count))
    while polled := member.poll(max_records=1, max_bytes=MIB, timeout_ms=500):
        (record,) = polled
        partition = record.partition
        state = next(bus.latest(STATE, partition=partition), None)
        done = int(state.value or b"0") if state else 0
        member.commit(
            [
                Outgoing(SINK.name, partition, record.key, record.value, ()),
                Outgoing(STATE.name, partition, f"done/{partition}", b"%d" % (done + 1), ()),
            ],
            {Place(SOURCE.name, partition): record.offset + 1},
        )
    bus.close()


def publish(path: str, partition: str, count: str) -> None:
    """Numbered records, one step each."""
    bus = SqliteBus(path)
    bus.create([SOURCE, SINK, STATE])
    member = bus.member("publisher", [], slot=f"{partition}/{os.getpid()}")
    for number in range(int(count)):
        member.commit([Outgoing(SOURCE.name, int(partition), "key", b"%d" % number, ())], {})
    bus.close()


def watch(path: str, ready: str) -> None:
    """A reader that never pauses."""
    bus = SqliteBus(path)
    Path(ready).touch()
    while True:
        for partition, (first, _) in bus.ends(SOURCE).items():
            bus.fetch(Place(SOURCE.name, partition), first, max_records=4, max_bytes=MIB)


if __name__ == "__main__":
    verbs: dict[str, Callable[..., None]] = {"steps": steps, "publish": publish, "watch": watch}
    verbs[sys.argv[1]](*sys.argv[2:])
