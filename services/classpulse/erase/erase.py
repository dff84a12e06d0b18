"""operator → bus and files: what was seen in a room in a window goes, and a reading afterwards proves it.

An append log gives up no single record. So buckets are deleted by key; of `events` the part of the room's partition up to
the last record to be erased is cut off, after what is to stay of it was published again, unchanged; `detections`, from which
all of it could be computed again, are cut off likewise, and what others lose there only a replay would ever read.
Done again after a kill, it ends what it had begun.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from classpulse.aggregate.room import Room
from classpulse.bus.base import Bus, Member, Place
from classpulse.clock import rfc3339
from classpulse.codec import REPUBLISHED, Outgoing, header, republished, tombstone
from classpulse.erase.window import (
    KINDS,
    Found,
    Window,
    buckets_of,
    is_event_of,
    look,
    reach,
    room_remembered,
    row_spans,
)
from classpulse.errors import BadInput
from classpulse.export.folder import Folder
from classpulse.faults import fault
from classpulse.reading import stored_records
from classpulse.topics import DEAD_LETTERS, DETECTIONS, EVENTS, FRAMES, TIMELINES

GROUP = "aggregate"
STEP_BYTES = 4 * 1024 * 1024
"""So much is published again in one step."""


def whole_buckets(bus: Bus, window: Window, folders: Sequence[Folder]) -> Window:
    """The window over the whole of every bucket that it touches, on the bus and in the files."""
    latest, _ = buckets_of(bus, window)
    spans = [
        *((b.start_ms, b.end_ms) for b in latest.values()),
        *(span for one in folders for span in row_spans(one, "timelines", window)),
    ]
    return window.widened(spans)


def plan(bus: Bus, window: Window, folders: Sequence[Folder]) -> Found:
    """What is to be erased. Raises BadInput while more may come of the window: only what is final can be erased for good."""
    found = look(bus, window, folders)
    room = room_remembered(bus, window)
    if room is not None and room.frontier.final_until_ms < window.end_ms and _goes_on(room):
        raise _not_yet(window, f"buckets are final up to {rfc3339(room.frontier.final_until_ms)} only")
    if found.provisional_ms is not None:
        raise _not_yet(window, f"the bucket from {rfc3339(found.provisional_ms)} on is not final")
    if found.open_ms is not None:
        raise _not_yet(window, f"a behaviour that began at {rfc3339(found.open_ms)} has not ended")
    if found.state:
        raise _not_yet(window, f"aggregate still holds {found.state[0]}")
    read_to = bus.positions(GROUP, DETECTIONS).get(window.partition(DETECTIONS), 0)
    if found.detections.end is not None and read_to < found.detections.end:
        raise _not_yet(window, "aggregate has not read all its detections")
    return found


def erase(bus: Bus, window: Window, found: Found, folders: Sequence[Folder]) -> Found:
    """Remove what was planned, then read everything back; gives what is left, nothing if all went well.

    What it could be computed from goes first: whatever a kill leaves, a replay misses nothing that it computes itself.
    """
    if found.detections.end is not None:
        bus.forget(DETECTIONS, {window.partition(DETECTIONS): found.detections.end})
    if found.letters.end is not None:
        bus.forget(DEAD_LETTERS, {0: found.letters.end})
    bus.forget(FRAMES, bus.positions("detect", FRAMES))
    fault("erase.inputs_cut")
    member = bus.member("operator", [], slot="erase")
    try:
        for batch in _batches(tombstone(TIMELINES, key, window.room) for key in found.buckets):
            member.commit(batch, {})
        fault("erase.deleted")
        if found.events.end is not None:
            _cut_events(bus, member, window, found.ids, found.events.end)
    finally:
        member.close()
    fault("erase.events_cut")
    for folder in folders:
        _erase_rows(folder, window, found)
    return look(bus, window, folders)


def _cut_events(bus: Bus, member: Member, window: Window, ids: frozenset[str], cut: int) -> None:
    """Publish again what is to stay of the part before `cut`, in its order, but for what a killed run did already; then cut."""
    partition = window.partition(EVENTS)
    moved = (
        r for r in stored_records(bus, EVENTS, partition) if r.offset >= cut and header(r, REPUBLISHED) is not None
    )
    again = {header(record, "ce_id") for record in moved}
    before = takewhile(lambda record: record.offset < cut, stored_records(bus, EVENTS, partition))
    staying = (r for r in before if not is_event_of(r, ids) and header(r, "ce_id") not in again)
    for batch in _batches(republished(record) for record in staying):
        member.commit(batch, {})
        fault("erase.republished")
    bus.forget(EVENTS, {partition: cut})


def _erase_rows(folder: Folder, window: Window, found: Found) -> None:
    """Rows go; what was cut off the log is no longer to come from there, but from where it was published again."""
    for kind in KINDS:
        folder.drop(kind, window.room, reach(window), window.touches)
    place = Place(EVENTS.name, window.partition(EVENTS))
    position = folder.position(place)
    if position is not None and found.events.end is not None and position < found.events.end:
        folder.move(place, found.events.end)
        folder.save()


def _batches(outputs: Iterator[Outgoing]) -> Iterator[list[Outgoing]]:
    """Outputs in steps of STEP_BYTES."""
    batch: list[Outgoing] = []
    size_bytes = 0
    for output in outputs:
        if batch and size_bytes + output.size_bytes > STEP_BYTES:
            yield batch
            batch, size_bytes = [], 0
        batch.append(output)
        size_bytes += output.size_bytes
    if batch:
        yield batch


def _goes_on(room: Room) -> bool:
    """Whether any camera of the room is due, or will be: what it tells next may lie in any time that is not final."""
    return any(story.holds for story in room.stories.values())


def _not_yet(window: Window, why: str) -> BadInput:
    until = f"{rfc3339(window.start_ms)} to {rfc3339(window.end_ms)}"
    return BadInput([f"{window.room} from {until}: {why}; expected a window of which nothing more can come"])
