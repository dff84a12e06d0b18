"""The bus: partitioned logs, members that own partitions, and the atomic step. Every bus passes tests/contracts/bus.

The seam is drawn for Kafka's transactions: a member polls committed records, and hands back *in one call* everything a
step produced together with the positions it consumed. That call is the atomic step: all of it becomes visible, or none.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol

from classpulse.codec import Outgoing, Stored
from classpulse.errors import BadInput
from classpulse.topics import Topic

MAX_IN_FLIGHT_BYTES = 32 * 1024 * 1024
"""What one atomic step may hold before it is refused: the bound on a publisher's memory."""

DEADLINE_MS = 10_000
"""The longest any call may take before it raises Recoverable."""


class Place(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Member(Protocol):
    """One of the `count` owners that share a group's partitions. Used from one thread at a time."""

    def assignment(self) -> frozenset[Place]:
        """The partitions this member owns now."""
        ...

    def poll(self, *, max_records: int, max_bytes: int, timeout_ms: int) -> list[Stored]:
        """The next committed records, in offset order within each partition; empty when none came in time.

        Moves the member's in-memory position only. At least one record is given even if it exceeds `max_bytes`. With
        `max_records` 0 nothing is fetched: who shares places and reads nothing of them keeps up with its group so.
        """
        ...

    def commit(self, outputs: Sequence[Outgoing], positions: Mapping[Place, int]) -> None:
        """The atomic step: append `outputs` and move the group's positions (next offset to read) together, or neither.

        Raises RecordTooLarge (nothing written; the others may be committed without it), Fenced (a successor owns this
        place), StorageFull or Recoverable (nothing written, the same call may be tried again), BadInput when the
        outputs exceed MAX_IN_FLIGHT_BYTES.
        """
        ...

    def expired(self) -> dict[Place, int]:
        """Partitions whose unread records retention has removed since the last call, with the first offset left."""
        ...

    def handed_over(self) -> frozenset[Place]:
        """Partitions that were taken away since the last call, even if they came back: what was remembered of them is void."""
        ...

    def rewind(self) -> None:
        """Forget what was polled and not committed: the next poll starts at the committed positions."""
        ...

    def close(self) -> None:
        """Leave; what was not committed is not remembered."""
        ...


class Bus(Protocol):
    """Topics and their records; committed records only, whoever asks.

    `retains_itself`: whether the topics' limits are applied without anybody calling `retain`.
    """

    retains_itself: bool

    @staticmethod
    def check(address: str) -> None:
        """Look at what follows `://` in its URL, without opening it. Raises BadInput for what can never be opened."""
        ...

    def create(self, topics: Sequence[Topic]) -> None:
        """Make the topics that do not exist. Raises BadInput where one exists with another number of partitions."""
        ...

    def member(self, group: str, topics: Sequence[Topic], *, index: int = 0, count: int = 1, slot: str = "") -> Member:
        """Join `group` as owner `index` of `count`; partitions p with p % count == index are owned.

        A later member of the same group, index and slot fences the earlier one. Without topics it only publishes.
        """
        ...

    def holders(self, group: str) -> dict[int, str]:
        """Who is in a group: index → client id, where a broker shares places out; a dead one stays for its session's length."""
        ...

    def dismiss(self, group: str, *, index: int, slot: str = "") -> None:
        """Say that nobody will take this place: where places are shared out, the others get its partitions at once."""
        ...

    def fetch(self, place: Place, offset: int, *, max_records: int, max_bytes: int) -> list[Stored]:
        """Committed records from `offset` on, as far as retention has left them; no membership, no position."""
        ...

    def latest(self, topic: Topic, *, partition: int | None = None, key: str | None = None) -> Iterator[Stored]:
        """The latest record of each key of a compacted topic, without deleted keys, in (partition, offset) order."""
        ...

    def ends(self, topic: Topic) -> dict[int, tuple[int, int]]:
        """Per partition: (first offset left, next offset to be written)."""
        ...

    def positions(self, group: str, topic: Topic) -> dict[int, int]:
        """The group's committed positions per partition; partitions never committed are absent."""
        ...

    def lag(self, group: str, topic: Topic) -> tuple[int, int]:
        """(records, bytes) the group has not committed yet, over all partitions."""
        ...

    def retain(self, now_ms: int) -> int:
        """Apply every topic's limits by time and bytes; gives the number of records removed. Called now and then."""
        ...

    def forget(self, topic: Topic, before: Mapping[int, int]) -> int:
        """Remove a topic's records before these offsets, whatever their age; gives the number of records removed."""
        ...

    def close(self) -> None:
        """Let go of files, connections and threads."""
        ...


BUSES: dict[str, str] = {
    "memory": "classpulse.bus.memory:MemoryBus",
    "sqlite": "classpulse.bus.sqlite:SqliteBus",
    "kafka": "classpulse.bus.kafka:KafkaBus",
}


def open_bus(url: str) -> Bus:
    """The bus of a URL such as `sqlite:///path/to/file`. Raises BadInput naming the schemes there are."""
    kind, address = _kind_of(url)
    bus: Bus = kind(address)
    return bus


def check_bus(url: str, *, key: str = "bus") -> None:
    """Refuse a bus's URL that can never be opened, without opening it. Raises BadInput naming the setting `key`."""
    try:
        kind, address = _kind_of(url)
        kind.check(address)
    except BadInput as error:
        raise BadInput([f"{key}{fault.removeprefix('bus')}" for fault in error.faults]) from error


def _kind_of(url: str) -> tuple[Any, str]:
    """The class of a URL's bus, and what it is made from."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in BUSES:
        raise BadInput(
            [f"bus = {url!r}: unknown scheme {scheme!r}; expected one of {', '.join(f'{s}://' for s in BUSES)}"]
        )
    module, _, name = BUSES[scheme].partition(":")
    try:
        return getattr(import_module(module), name), rest
    except ModuleNotFoundError as error:
        raise BadInput([f"bus = '{scheme}://…': {error}; expected `pip install '.[{scheme}]'`"]) from error
