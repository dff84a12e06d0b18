"""A cluster that is told what happens on it."""

from collections.abc import Collection

from classpulse.clock import ManualClock
from classpulse.detect.devices import Device
from classpulse.detect.fleet import Fleet
from classpulse.detect.fleet_worker import Health
from classpulse.detect.ground import Node, Orders, Probe
from tests.support import Shown

TURN_MS = 1_000


class FakeGround:
    """Nodes answer probes at the next look; workers run as soon as they are started, and end as soon as they are drained."""

    def __init__(self, *nodes: Node, workers: int = 2) -> None:
        self.there = list(nodes)
        self.carries = {node.id: Probe(workers, (10.0, 19.0), "onnxruntime") for node in nodes}
        self.asked: list[str] = []
        self._looked = 0
        self.working: dict[int, str] = {}
        self.started: list[tuple[int, str, float]] = []
        self.healths: dict[int, Health | None] = {}
        self.drained: list[int] = []
        self.killed: list[int] = []
        self.dismissed: list[int] = []
        self.orders = Orders()
        self.stubborn = self.forgetful = False

    def nodes(self) -> list[Node]:
        return self.there

    def probe(self, node: Node) -> None:
        self.asked.append(node.id)

    def probed(self) -> dict[str, Probe]:
        found = {one: self.carries[one] for one in self.asked[self._looked :]}
        self._looked = len(self.asked)
        return found

    def adopt(self) -> tuple[dict[int, str], Orders]:
        return dict(self.working), self.orders

    def start(self, slot: int, node: Node, share: float) -> None:
        assert slot not in self.working, "two workers in one slot"
        self.started.append((slot, node.id, share))
        self.working[slot] = node.id
        self.healths[slot] = healthy()

    def health(self, slots: Collection[int]) -> dict[int, Health | None]:
        return {slot: self.healths[slot] for slot in slots if slot in self.working}

    def remember(self, orders: Orders) -> None:
        if self.forgetful:
            raise ConnectionError("no head")
        self.orders = orders

    def drain(self, slot: int) -> None:
        self.drained.append(slot)
        if not self.stubborn:
            self.healths[slot] = healthy(state="drained")

    def kill(self, slot: int) -> None:
        self.killed.append(slot)
        self.working.pop(slot, None)

    def dismiss(self, slot: int) -> None:
        self.dismissed.append(slot)

    def die(self, slot: int) -> None:
        """Its process is gone, and nobody was told."""
        del self.working[slot]


def healthy(**changes: object) -> Health:
    told: dict[str, object] = {"state": "running", "pid": 1, "quiet_ms": 0, **changes}
    return Health(**told)  # type: ignore[arg-type]


def node(name: str, device: Device = "cpu", amount: float = 2.0) -> Node:
    return Node(id=name, name=f"host-{name}", device=device, amount=amount)


class Rig:
    """A fleet on a ground, with its clock."""

    def __init__(self, *nodes: Node, workers: int = 2, most_workers: int = 24, **orders: int | None) -> None:
        self.ground = FakeGround(*nodes, workers=workers)
        self.clock = ManualClock()
        self.most_workers = most_workers
        self.metrics = Shown()
        self.fleet = Fleet(self.ground, self.clock, Orders(**orders), most_workers=most_workers, metrics=self.metrics)  # type: ignore[arg-type]

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.fleet.turn()
            self.clock.advance(TURN_MS)

    def raised(self) -> "Rig":
        """Probed and full."""
        self.turn(2)
        return self

    def successor(self) -> Fleet:
        """A fresh supervisor on the same ground."""
        return Fleet(self.ground, self.clock, Orders(), most_workers=self.most_workers, metrics=self.metrics)

    @property
    def states(self) -> dict[int, str]:
        return {number: slot.state for number, slot in sorted(self.fleet.slots.items())}
