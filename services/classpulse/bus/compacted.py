"""What a compacted topic says now, for those who look again and again: it is read again only when something was written there."""

import logging

from classpulse.bus.base import Bus
from classpulse.codec import decode
from classpulse.errors import InvalidRecord
from classpulse.records import Record
from classpulse.topics import Topic

_log = logging.getLogger("classpulse.bus")


class Compacted:
    """The latest noun of every key. What cannot be read, a newer writer's perhaps, is logged and left out."""

    def __init__(self, bus: Bus, topic: Topic) -> None:
        self._bus, self._topic = bus, topic
        self._ends: dict[int, tuple[int, int]] | None = None
        self._nouns: tuple[Record, ...] = ()

    def nouns(self) -> tuple[Record, ...]:
        """As of this call."""
        ends = self._bus.ends(self._topic)
        if ends != self._ends:
            self._nouns, self._ends = tuple(self._read()), ends
        return self._nouns

    def _read(self) -> list[Record]:
        found = []
        for record in self._bus.latest(self._topic):
            try:
                found.append(decode(record))
            except InvalidRecord as error:
                _log.error("%s@%d (%s): %s; ignored", record.topic, record.offset, record.key, error)
        return found
