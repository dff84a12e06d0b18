"""A member of two buses: it reads the school's, writes to the district's, and keeps its place on the school's.

At least once: what the district acknowledged is remembered here a moment later, so a kill in between sends it again. There
an old (epoch, sequence) says nothing. While there is no link nothing is read: the school's log is the spool.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from classpulse.bus.base import Bus, Member, Place
from classpulse.clock import Clock
from classpulse.codec import Outgoing, Stored
from classpulse.errors import ClassPulseError, Fatal, RecordTooLarge, Recoverable
from classpulse.faults import fault
from classpulse.topics import DETECTIONS

Dial = Callable[[], tuple[Bus, Member]]
"""Opens the district's bus and a place to write on it; any ClassPulseError says why it cannot be now."""

_log = logging.getLogger("classpulse.bridge")


class Crossing:
    """The member. `pause_ms`: between two crossings, unless more waits.

    A link that breaks ends the process, once for each time it is away: what a client had in flight then may keep it from ever
    going on. The next process dials, for as long as it takes, and holds nothing meanwhile.
    """

    def __init__(self, local: Member, dial: Dial, clock: Clock, *, pause_ms: int) -> None:
        self._local, self._dial, self._clock, self._pause_ms = local, dial, clock, pause_ms
        self._link: tuple[Bus, Member] | None = None
        self._acknowledged: Sequence[Outgoing] | None = None
        self._more = False
        self._due_ms = 0

    def assignment(self) -> frozenset[Place]:
        """The school's partitions that this member reads."""
        return self._local.assignment()

    def poll(self, *, max_records: int, max_bytes: int, timeout_ms: int) -> list[Stored]:
        """The next records of the school. Raises Recoverable while there is no link."""
        self._linked()
        if not self._more:
            self._clock.sleep_ms(self._due_ms - self._clock.monotonic_ms())
        polled = self._local.poll(max_records=max_records, max_bytes=max_bytes, timeout_ms=timeout_ms)
        self._more = len(polled) == max_records
        return polled

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        """First what crosses, then the position; what is put aside stays in the school. Raises Recoverable, Fatal."""
        crossing = [output for output in outputs if output.topic == DETECTIONS.name]
        if crossing and outputs is not self._acknowledged:
            self._send(crossing)
            self._acknowledged = outputs
        fault("bridge.acknowledged")
        self._local.commit([output for output in outputs if output.topic != DETECTIONS.name], positions)
        self._acknowledged = None
        self._due_ms = self._clock.monotonic_ms() + self._pause_ms

    def expired(self) -> dict[Place, int]:
        """What the spool had no room for."""
        return self._local.expired()

    def handed_over(self) -> frozenset[Place]:
        """Partitions of the school that another member read meanwhile."""
        return self._local.handed_over()

    def rewind(self) -> None:
        """Back to what is known to have crossed."""
        self._local.rewind()

    def close(self) -> None:
        """Leave both."""
        if self._link is not None:
            bus, member = self._link
            member.close()
            bus.close()
        self._local.close()

    def _send(self, crossing: Sequence[Outgoing]) -> None:
        district = self._linked()
        try:
            district.commit(crossing, {})
        except (
            RecordTooLarge
        ) as error:  # it fits the school's bus: the district's topic is to be mended, not the record
            raise Recoverable(str(error)) from error
        except Recoverable as error:
            raise Fatal(f"the link to the district broke: {error}; expected a fresh process to dial anew") from error

    def _linked(self) -> Member:
        """The place on the district's bus. Raises Recoverable, whatever keeps it from being taken now."""
        if self._link is None:
            try:
                self._link = self._dial()
            except ClassPulseError as error:
                raise Recoverable(f"no link to the district: {error}") from error
            _log.info("linked to the district")
        return self._link[1]
