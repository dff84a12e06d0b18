"""camera → frames.v1: what is still to be told, in order, between the thread that reads a camera and the one that publishes.

`live`: it holds one picture; the newest wins, and the one that loses is told as dropped. `complete`: it holds MOST_PICTURES, then
the reader waits.
"""

import threading
from collections.abc import Callable, Sequence

from classpulse.ingest.camera import Beat, Gone, Item, Picked

MOST_PICTURES = 4
"""What a reader may be ahead of the bus: several pictures share one step, and what a step costs."""

MOST_ITEMS = 256
"""Above this, states and then reasons are forgotten, oldest first: memory is bounded, the hole still shows."""


def told_as_gone(item: Item, reason: str) -> Item:
    """A picture that will not be published, told as such; anything else as it is."""
    if not isinstance(item, Picked):
        return item
    return Gone(item.state, item.sequence, item.sequence, item.at_ms, item.at_ms, reason)


def queued(pending: Sequence[Item], new: Sequence[Item], *, newest_wins: bool, reason: str) -> list[Item]:
    """The pending items followed by the new ones, with what need not be told left out and neighbours joined."""
    items = [*pending, *new]
    if newest_wins:
        newest = max((i for i, item in enumerate(items) if isinstance(item, Picked)), default=0)
        items = [told_as_gone(item, reason) if i < newest else item for i, item in enumerate(items)]
    joined: list[Item] = []
    for item in items:
        if joined and (one := _joined(joined[-1], item)) is not None:
            joined[-1] = one
        else:
            joined.append(item)
    return _bounded(joined)


def _joined(first: Item, second: Item) -> Item | None:
    """One item that says what both say, None where it takes both."""
    if first.state.epoch != second.state.epoch:
        return None
    if isinstance(first, Beat):
        same = isinstance(second, Beat) and (first.said, first.detail) == (second.said, second.detail)
        return second if first.said == "up" or same else None
    adjoining = (
        isinstance(first, Gone) and isinstance(second, Gone) and first.last_sequence + 1 == second.first_sequence
    )
    if isinstance(first, Gone) and isinstance(second, Gone) and adjoining and first.reason == second.reason:
        ends = second.last_sequence, first.first_ms, second.last_ms
        return Gone(second.state, first.first_sequence, *ends, first.reason)
    return None


def _bounded(items: list[Item]) -> list[Item]:
    excess = len(items) - MOST_ITEMS
    if excess <= 0:
        return items
    by_worth = sorted(range(len(items) - 1), key=lambda i: (not isinstance(items[i], Beat), i))
    doomed = {i for i in by_worth if not isinstance(items[i], Picked)}
    dropped = set(sorted(doomed, key=by_worth.index)[:excess])
    return [item for i, item in enumerate(items) if i not in dropped]


class Handover:
    """The one place where the reader, the publisher and whoever stops them meet; its lock guards the camera's story."""

    def __init__(self, *, newest_wins: bool) -> None:
        self._newest_wins = newest_wins
        self._changed = threading.Condition()
        self._pending: list[Item] = []
        self._closed = False
        self.reason = "queue_full"

    def give(self, make: Callable[[], list[Item]]) -> bool:
        """Add what `make` gives, called under the lock when there is room; False, without a call, once it is closed."""
        with self._changed:
            while not self._newest_wins and not self._closed and self._full():
                self._changed.wait()
            if self._closed:
                return False
            self._pending = queued(self._pending, make(), newest_wins=self._newest_wins, reason=self.reason)
            if self._pending:
                self._changed.notify_all()
            return True

    def take(self, timeout_s: float) -> list[Item]:
        """Everything pending; waits for something, at most so long."""
        with self._changed:
            if not self._pending and not self._closed:
                self._changed.wait(timeout_s)
            items, self._pending = self._pending, []
            self._changed.notify_all()
            return items

    def close(self) -> None:
        """From now on nothing is accepted, and nobody waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @property
    def empty(self) -> bool:
        """Whether nothing is pending."""
        with self._changed:
            return not self._pending

    @property
    def lock(self) -> threading.Condition:
        """For looking at the story without giving anything."""
        return self._changed

    def _full(self) -> bool:
        return sum(isinstance(item, Picked) for item in self._pending) >= MOST_PICTURES
