"""A cluster as a fleet sees it, and the few things it says and is told. Knows no Ray."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from classpulse.detect.devices import Device
from classpulse.detect.fleet_worker import Health


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster. `amount`: how much of its device (cores, GPUs, Jetsons) the cluster may give out."""

    id: str
    name: str
    device: Device
    amount: float


@dataclass(frozen=True, slots=True)
class Probe:
    """What a node's cores, or one of its GPUs, can do: pictures a second with 1, 2, 4 … looking at once, and how many workers follow.

    `refused`: the runtimes that did not load before `runtime` did, and why; `error`: why nothing could be found out.
    """

    workers: int
    pictures_per_s: tuple[float, ...] = ()
    runtime: str = ""
    refused: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who raised a fleet and raises it again: the process that a person or a supervisor started, not the one it starts for Ray."""

    host: str
    pid: int

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}"


@dataclass(frozen=True, slots=True)
class Orders:
    """What people want of a fleet, and what it found out: with these a new supervisor goes on. The highest revision holds.

    Between `least` and `most` workers follow what waits; where both are equal, nothing moves. None: what the nodes carry.
    `keeper`: None where nobody raises it again.
    """

    revision: int = 0
    least: int | None = None
    most: int | None = None
    drained: frozenset[str] = frozenset()
    probes: Mapping[str, Probe] = field(default_factory=dict)
    keeper: Keeper | None = None


class Ground(Protocol):
    """A cluster. No call waits for long; workers go by their slot."""

    def nodes(self) -> list[Node]:
        """The machines that are there."""
        ...

    def probe(self, node: Node) -> None:
        """Begin to find out what a node can do."""
        ...

    def probed(self) -> dict[str, Probe]:
        """What was found out since the last call, by node."""
        ...

    def adopt(self) -> tuple[dict[int, str], Orders]:
        """Who works already (slot → node), and the orders of the supervisor before this one."""
        ...

    def start(self, slot: int, node: Node, share: float) -> None:
        """Start a worker that takes `share` of the node's device."""
        ...

    def health(self, slots: Collection[int]) -> dict[int, Health | None]:
        """How these workers are: None for one that did not answer, absent where there is none."""
        ...

    def remember(self, orders: Orders) -> None:
        """Keep them for a supervisor to come."""
        ...

    def drain(self, slot: int) -> None:
        """Ask a worker to end after its step."""
        ...

    def kill(self, slot: int) -> None:
        """End a worker at once; nothing to do where there is none."""
        ...

    def dismiss(self, slot: int) -> None:
        """Tell the group of readers that nobody takes this slot."""
        ...
