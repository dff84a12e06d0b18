"""The canary, whose turn it is: which node looks at which partitions of frames.v1, as detect reports. Pure."""

from typing import NamedTuple

from classpulse.records import CameraReport, room_of
from classpulse.topics import FRAMES, partition_of

FORGOTTEN_AFTER = 3
"""A node that has not reported for so many rounds is forgotten, unless a lesson was missed on it."""


class Turn(NamedTuple):
    """A lesson to be played: for a node, in one of the partitions it looks at, in a school of which a camera lies there.

    Where nobody is known to look: for nobody, in any partition and school.
    """

    node: str
    partition: int | None
    school: str


class Nodes:
    """The nodes that detect, from round to round."""

    def __init__(self) -> None:
        self._owner: dict[int, str] = {}
        self._school: dict[int, str] = {}
        self._heard: dict[str, int] = {}
        self._missed: set[str] = set()
        self._latest: dict[str, int] = {}
        self._round = 0

    @property
    def names(self) -> frozenset[str]:
        """Those that are known."""
        return frozenset(self._owner.values())

    def hear(self, report: CameraReport) -> None:
        """Who looked at a camera has its partition from now on, until another reports one of it."""
        if report.stage != "detect" or not report.node:
            return
        partition = partition_of(report.camera, FRAMES.partitions)
        self._owner[partition] = report.node
        self._school[partition] = room_of(report.camera).rpartition("/")[0]
        self._heard[report.node] = self._round
        self._missed.discard(report.node)

    def judge(self, node: str, *, missed: bool) -> None:
        """A lesson of a node came or was missed. One that misses stays known, though it says nothing."""
        if missed:
            self._missed.add(node)
        else:
            self._missed.discard(node)

    def turns(self) -> list[Turn]:
        """A new round: for each node the next of its partitions."""
        self._round += 1
        self._forget()
        turns = []
        for node in sorted(self.names):
            mine = sorted(partition for partition, owner in self._owner.items() if owner == node)
            latest = self._latest.get(node, -1)
            self._latest[node] = next((one for one in mine if one > latest), mine[0])
            turns.append(Turn(node, self._latest[node], self._school[self._latest[node]]))
        return turns

    def _forget(self) -> None:
        silent = {one for one in self.names - self._missed if self._round - self._heard[one] > FORGOTTEN_AFTER}
        self._owner = {partition: owner for partition, owner in self._owner.items() if owner not in silent}
        self._missed &= self.names
        self._heard = {node: heard for node, heard in self._heard.items() if node in self.names}
        self._latest = {node: latest for node, latest in self._latest.items() if node in self.names}
