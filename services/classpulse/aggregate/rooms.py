"""aggregate, all rooms of one partition: records in their order → outputs and state, as a pure step without a bus.

`Aggregate` feeds it what it polls and `replay` what is stored; both get the same bytes.
"""

from collections.abc import Iterable

from classpulse.aggregate.admission import check
from classpulse.aggregate.room import Publication, Room
from classpulse.aggregate.state import Remembered, restored
from classpulse.codec import Outgoing, Stored, camera_of, encode
from classpulse.errors import InvalidRecord
from classpulse.records import BehaviourEvent, Record, StateEntry
from classpulse.topics import EVENTS, TIMELINES

MOST_FINALS = 2_048
"""So many final buckets leave in one step at most; more (after a machine was off for a day) follow in the next ones."""


class Rooms:
    """The rooms of one partition of detections.v1."""

    def __init__(self, entries: Iterable[StateEntry] = ()) -> None:
        self._rooms = restored(entries)
        self._touched: dict[str, None] = dict.fromkeys(sorted(self._rooms))

    def rooms(self) -> dict[str, Room]:
        """Every room known here, by key."""
        return {key: remembered.room for key, remembered in self._rooms.items()}

    def take(self, stored: Stored, noun: Record) -> list[Publication]:
        """One record. Raises InvalidRecord for one that cannot be true; its hole has that reason already."""
        try:
            check(noun, stored.key)
        except InvalidRecord as error:
            self.unread(stored, error)
            raise
        return self._room(stored.key).take(noun)

    def unread(self, stored: Stored, error: InvalidRecord) -> None:
        """A record could not be read: the hole it leaves has its reason, whoever's it was."""
        camera = camera_of(stored)
        if camera is not None or stored.key in self._rooms:
            self._room(stored.key).explain(error.reason, camera)

    def expire(self) -> None:
        """Retention removed records unread: the next hole of every camera known here is due to that."""
        for key in self._rooms:
            self._room(key).explain("expired")

    def finals(self) -> list[Publication]:
        """The final buckets due, at most MOST_FINALS in one call."""
        published: list[Publication] = []
        for key in list(self._touched):
            room = self._rooms[key].room
            published += room.finals(MOST_FINALS - len(published))
            if room.owing:
                break
        return published

    def changes(self) -> list[Outgoing]:
        """The state to be written with these outputs."""
        outputs = [output for key in self._touched for output in self._rooms[key].changes()]
        self._touched = {key: None for key in self._touched if self._rooms[key].room.owing}
        return outputs

    def _room(self, key: str) -> Room:
        if key not in self._rooms:
            self._rooms[key] = Remembered(Room(key))
        self._touched[key] = None
        return self._rooms[key].room


def outgoing(publication: Publication) -> Outgoing:
    """An event or a bucket as a record."""
    noun, at_ms, trace = publication
    return encode(noun, topic=EVENTS if isinstance(noun, BehaviourEvent) else TIMELINES, at_ms=at_ms, trace=trace)
