"""aggregate's memory on the bus: a room as many small msgpack pieces, of which only the changed ones are written.

Pieces of room R are keyed `R/plan`, `R/frontier`, `R/camera/C` (a camera's story, and what it saw in the newest bucket it told
of) and `R/part/START_MS/C` (what it saw in an older bucket that is still open). A piece that is gone is deleted by key. The
topic is partitioned like detections and written in the same atomic step as the outputs and positions it belongs to.
"""

from collections.abc import Iterable

import msgspec

from classpulse.aggregate.buckets import Part
from classpulse.aggregate.camera_story import Story
from classpulse.aggregate.room import Frontier, PieceName, Room
from classpulse.codec import Outgoing, encode, tombstone
from classpulse.errors import Fatal
from classpulse.records import RoomPlan, StateEntry
from classpulse.topics import AGGREGATE_STATE

_encode = msgspec.msgpack.Encoder().encode
_frontier = msgspec.msgpack.Decoder(Frontier).decode
_plan = msgspec.msgpack.Decoder(RoomPlan).decode
_camera = msgspec.msgpack.Decoder(tuple[Story, Part | None]).decode
_part = msgspec.msgpack.Decoder(Part).decode


class Remembered:
    """One room and which of its pieces lie on the bus."""

    def __init__(self, room: Room, names: Iterable[str] = ()) -> None:
        self.room = room
        self.names = set(names)

    def changes(self) -> list[Outgoing]:
        """What must be written so that the bus remembers this room as it is now; a second call gives nothing."""
        changed, self.room.changed = self.room.changed, set()
        outputs = []
        for name, payload in sorted((name_of(piece), payload_of(self.room, piece)) for piece in changed):
            if payload is not None:
                entry = StateEntry(room=self.room.key, name=name, payload=payload)
                outputs.append(encode(entry, topic=AGGREGATE_STATE, at_ms=self.room.clock_ms))
                self.names.add(name)
            elif name in self.names:
                outputs.append(tombstone(AGGREGATE_STATE, f"{self.room.key}/{name}", self.room.key))
                self.names.discard(name)
        return outputs


def name_of(piece: PieceName) -> str:
    """The key of a piece under its room; a camera goes by the last part of its own key."""
    match piece:
        case ("camera", camera):
            return f"camera/{camera.rpartition('/')[2]}"
        case ("part", start_ms, camera):
            return f"part/{start_ms}/{camera.rpartition('/')[2]}"
        case (name,):
            return name


def payload_of(room: Room, piece: PieceName) -> bytes | None:
    """The bytes of a piece; None when it is gone."""
    found: object
    match piece:
        case ("camera", camera):
            found = _told(room, camera)
        case ("part", start_ms, camera):
            found = room.parts.get(start_ms, {}).get(camera)
        case ("plan",):
            found = room.plan
        case _:
            found = room.frontier
    return None if found is None else _encode(found)


def _told(room: Room, camera: str) -> tuple[Story, Part | None] | None:
    """A camera's story with its newest part."""
    story, newest_ms = room.stories.get(camera), room.newest.get(camera)
    return None if story is None else (story, None if newest_ms is None else room.parts[newest_ms][camera])


def restored(entries: Iterable[StateEntry]) -> dict[str, Remembered]:
    """Rooms by key, as their pieces say. Raises Fatal naming a piece that cannot be read."""
    rooms: dict[str, Remembered] = {}
    for entry in entries:
        remembered = rooms.setdefault(entry.room, Remembered(Room(entry.room)))
        remembered.names.add(entry.name)
        try:
            _restore(remembered.room, entry)
        except (msgspec.DecodeError, ValueError) as error:
            raise Fatal(
                f"state {entry.room}/{entry.name}: {error}; expected what this version wrote, else a new data folder"
            ) from error
    for remembered in rooms.values():
        remembered.room.resume()
    return rooms


def _restore(room: Room, entry: StateEntry) -> None:
    """Put one piece back. Raises ValueError for an unknown kind of piece."""
    kind, *where = entry.name.split("/")
    match kind, where:
        case "frontier", []:
            room.frontier = _frontier(entry.payload)
        case "plan", []:
            room.plan = _plan(entry.payload)
        case "camera", [_]:
            story, part = _camera(entry.payload)
            room.stories[story.camera] = story
            if part is not None:
                room.parts.setdefault(part.start_ms, {})[story.camera] = part
        case "part", [start_ms, camera]:
            room.parts.setdefault(int(start_ms), {})[f"{room.key}/{camera}"] = _part(entry.payload)
        case _:
            raise ValueError("unknown kind of piece")
