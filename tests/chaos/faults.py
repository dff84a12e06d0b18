"""Everything that is done to a route on three brokers while it runs, and how long until it goes on.

A fault is brought about and ended; from its end on we wait until the aggregator has read all that was known then and something
newer has come, or the whole route has told its story.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
from deploy.local.kafka.cluster import Cluster, Node, free_ports

from classpulse.bus.base import Bus, Place, open_bus
from classpulse.bus.kafka_admin import Cluster as Administrator
from classpulse.bus.kafka_link import parse_link
from classpulse.codec import Outgoing, Stored, decode, encode
from classpulse.errors import ClassPulseError
from classpulse.records import FrameDetections
from classpulse.topics import DETECTIONS, FRAMES, REPORTS, TOPICS, Topic
from tests.brokers import MORTAL
from tests.chaos.doors import Doors, State
from tests.chaos.route import LIMIT_S, MODEL, alive, tail, up, write_site

STAGES = ("ingest", "detect", "aggregate")
AWAY_S = 4.0
FROZEN_S = 30.0
ZOMBIE_S = 14.0
"""Longer than a transaction (10 s) and a session (10 s) may last."""
SHUT_S = 8.0
LOOK_S = 0.2
FUTURE_MS = 3_600_000


@dataclass
class Scene:
    """A route under `up` on three nodes behind doors. `draw` decides what is left to chance."""

    cluster: Cluster
    doors: Doors
    site: Path
    draw: random.Random
    process: "subprocess.Popen[bytes]"
    recovered_s: list[tuple[str, float]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether the route has told its story; `up` is started again if it was killed. Fails if it ended otherwise."""
        code = self.process.poll()
        if code == -signal.SIGKILL:
            self.process = up(self.site)
            return False
        assert code in (None, 0), f"ended with {code}:\n{tail(self.site)}"
        return code == 0

    def stage(self, name: str) -> psutil.Process:
        """A stage's process; waits until there is one."""
        give_up = time.monotonic() + LIMIT_S
        while time.monotonic() < give_up and not self.ended:
            with suppress(psutil.NoSuchProcess, StopIteration):
                return next(one for one in alive(self.process)[1:] if name in one.cmdline())
            time.sleep(LOOK_S)
        raise Over(name)

    def suffer(self, fault: "Fault") -> bool:
        """Bring a fault about, end it, and wait until the route goes on; False where the route had ended before."""
        if self.ended:
            return False
        try:
            fault.act(self)
        except Over:
            return False
        began = time.monotonic()
        self.wait_until_it_goes_on()
        self.recovered_s.append((fault.name, time.monotonic() - began))
        return True

    def wait_until_it_goes_on(self) -> None:
        """All that is known now is read, and something newer is known; or it is over."""
        give_up = time.monotonic() + LIMIT_S
        known = None
        while not self.ended:
            assert time.monotonic() < give_up, f"does not go on within {LIMIT_S} s:\n{tail(self.site)}"
            now = self.told()
            if known is None:
                known = now
            elif now is not None and now[0] > known[0] and now[1] >= known[0]:
                return
            time.sleep(LOOK_S)

    def told(self) -> tuple[int, int] | None:
        """(what detect has told, what aggregate has read of it); None where nobody answers."""
        try:
            with looking(self.cluster.url()) as bus:
                ends, read = bus.ends(DETECTIONS), bus.positions("aggregate", DETECTIONS)
        except ClassPulseError:
            return None
        return sum(end for _, end in ends.values()), sum(read.get(p, first) for p, (first, _) in ends.items())


class Over(Exception):
    """The route ended before a fault could be brought about."""


@dataclass(frozen=True)
class Fault:
    """Something that is done to a scene, and undone."""

    name: str
    act: Callable[[Scene], None]


@contextmanager
def scene(folder: Path, seed: int, fps: int, *, brief: bool = False) -> Iterator[Scene]:
    """A route that has begun, on an empty cluster with users. `brief`: as Cluster has it."""
    with ExitStack() as stack:
        doors = tuple(free_ports(3))
        cluster = Cluster(folder / "kafka", 3, secure=True, brief=brief, wrapper=MORTAL, doors=doors)
        stack.enter_context(cluster.lasting())  # its nodes do not need the doors
        proxy = stack.enter_context(Doors(doors, tuple(node.ports[0] for node in cluster.members)))
        apply_topics(cluster)
        site = write_site(folder, cluster.url("{stage}"), fps)
        one = Scene(cluster, proxy, site, random.Random(seed), up(site))
        stack.callback(end, one)
        one.wait_until_it_goes_on()
        yield one


def end(scene: Scene) -> None:
    """End the route."""
    for process in alive(scene.process) if scene.process.poll() is None else []:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    scene.process.wait()


@contextmanager
def looking(url: str) -> Iterator[Bus]:
    """A bus for one look: what a fault did to an older one is not our subject."""
    bus = open_bus(url)
    try:
        yield bus
    finally:
        bus.close()


def apply_topics(cluster: Cluster) -> None:
    """Topics and access as topics.py says."""
    administrator = Administrator(parse_link(cluster.url().partition("://")[2]))
    try:
        for change in administrator.changes(tuple(TOPICS.values())):
            administrator.apply(change)
    finally:
        administrator.close()


# stages


def kill_stage(name: str) -> Fault:
    """SIGKILL at a random moment, also in the middle of a transaction."""

    def act(scene: Scene) -> None:
        time.sleep(scene.draw.uniform(0.0, 1.0))
        with suppress(psutil.NoSuchProcess):
            scene.stage(name).kill()

    return Fault(f"SIGKILL of {name}", act)


def kill_supervisor(scene: Scene) -> None:
    """All stages die with it."""
    scene.process.kill()
    scene.process.wait()


def freeze_stage(name: str) -> Fault:
    """SIGSTOP past the transaction's time, then SIGCONT: what it still says is refused."""

    def act(scene: Scene) -> None:
        with paused(scene.stage(name)):
            time.sleep(ZOMBIE_S)

    return Fault(f"zombie {name}", act)


def succeed_stage(name: str) -> Fault:
    """As freeze_stage, but a successor at the same place goes on meanwhile."""

    def act(scene: Scene) -> None:
        with paused(scene.stage(name)):
            successor = start_alone(scene, name)
            time.sleep(ZOMBIE_S)
        try:
            time.sleep(1.0)
        finally:
            successor.kill()
            successor.wait()

    return Fault(f"zombie {name} with a successor", act)


@contextmanager
def paused(process: psutil.Process) -> Iterator[None]:
    """SIGSTOP, then SIGCONT."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def start_alone(scene: Scene, name: str) -> "subprocess.Popen[bytes]":
    """A stage at the place of the supervised one."""
    environ = {**os.environ, "CLASSPULSE_BUS": scene.cluster.url("{stage}"), "CLASSPULSE_MODEL": MODEL}
    command = [sys.executable, "-m", "classpulse.cli", name, "--data", str(scene.site.parent / "data")]
    with (scene.site.parent / "alone.log").open("ab") as log:
        return subprocess.Popen(command, env=environ, stdout=log, stderr=log)


# brokers


def kill_broker(number: int) -> Fault:
    """SIGKILL, away for a while, started again."""

    def act(scene: Scene) -> None:
        node = scene.cluster.members[number]
        scene.cluster.signal_node(node, signal.SIGKILL)
        time.sleep(AWAY_S)
        restart(scene.cluster, node)

    return Fault(f"SIGKILL of broker {number + 1}", act)


def freeze_broker(scene: Scene) -> None:
    """SIGSTOP for 30 s."""
    node = scene.draw.choice(scene.cluster.members)
    scene.cluster.signal_node(node, signal.SIGSTOP)
    try:
        time.sleep(FROZEN_S)
    finally:
        scene.cluster.signal_node(node, signal.SIGCONT)


def fill_disk(scene: Scene) -> None:
    """No file of a broker takes another byte: it gives up; there is room again, and it is started again."""
    node = scene.draw.choice(scene.cluster.members)
    assert node.process is not None
    process = psutil.Process(node.process.pid)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, process.rlimit(psutil.RLIMIT_FSIZE)[1]))
    with suppress(subprocess.TimeoutExpired):
        node.process.wait(SHUT_S)
    if node.process.poll() is None:
        scene.cluster.signal_node(node, signal.SIGKILL)
    restart(scene.cluster, node)


def restart(cluster: Cluster, node: Node) -> None:
    """Start a node that is gone, and wait for it."""
    cluster.start_node(node)
    cluster.wait_ready()


# the network, and what an administrator may do


def door(state: State, *, all_of_them: bool) -> Fault:
    """The network to one broker, or to all, for a while."""

    def act(scene: Scene) -> None:
        count = len(scene.cluster.members)
        numbers = range(count) if all_of_them else [scene.draw.randrange(count)]
        for number in numbers:
            scene.doors.set(number, state)
        time.sleep(SHUT_S)
        for number in numbers:
            scene.doors.set(number, State.OPEN)

    return Fault(f"network {state} to {'all brokers' if all_of_them else 'one broker'}", act)


def withdraw_access(scene: Scene) -> None:
    """Detect may not write detections for a while."""
    administrator = Administrator(parse_link(scene.cluster.url().partition("://")[2]))
    without = replace(DETECTIONS, written_by=("aggregate", "bridge", "operator"))
    try:
        for change in administrator.changes([*(t for t in TOPICS.values() if t != DETECTIONS), without]):
            administrator.apply(change)
        time.sleep(AWAY_S)
    finally:
        administrator.close()
        apply_topics(scene.cluster)


def miss_topic(scene: Scene) -> None:
    """The reports' topic is deleted, and made again after a while."""
    administrator = Administrator(parse_link(scene.cluster.url().partition("://")[2]))
    try:
        administrator._admin.delete_topics([REPORTS.name])
        time.sleep(AWAY_S)
    finally:
        administrator.close()
        apply_topics(scene.cluster)


# records


def append(scene: Scene, outputs: list[Outgoing]) -> None:
    """Write as nobody should."""
    with looking(scene.cluster.url()) as bus:
        member = bus.member("chaos", ())
        member.commit(outputs, {})
        member.close()


def last_of(scene: Scene, topic: Topic, count: int) -> list[Stored]:
    """The last records of a topic's partitions."""
    with looking(scene.cluster.url()) as bus:
        return [
            record
            for partition, (first, end) in bus.ends(topic).items()
            for record in bus.fetch(
                Place(topic.name, partition), max(first, end - count), max_records=count, max_bytes=1 << 24
            )
        ]


def repeat_records(scene: Scene) -> None:
    """Frames and detections come a second time."""
    for topic in (FRAMES, DETECTIONS):
        again = [Outgoing(r.topic, r.partition, r.key, r.value, r.headers) for r in last_of(scene, topic, 8)]
        append(scene, again)


def poison(scene: Scene) -> None:
    """Records that nobody can read."""
    found = last_of(scene, DETECTIONS, 1)
    append(scene, [Outgoing(r.topic, r.partition, r.key, b"\x00not json", r.headers) for r in found])


def from_the_future(scene: Scene) -> None:
    """Detections that say they were captured an hour from now."""
    nouns = [noun for r in last_of(scene, DETECTIONS, 4) if isinstance(noun := decode(r), FrameDetections)]
    late_ms = int(time.time() * 1000) + FUTURE_MS  # noqa: TID251 - the wall clock is what they are compared with
    told = [replace_time(noun, late_ms) for noun in nouns]
    append(scene, [encode(noun, topic=DETECTIONS, at_ms=late_ms) for noun in told])


def replace_time(noun: FrameDetections, at_ms: int) -> FrameDetections:
    """The same frame, said to be captured then, with a sequence nobody has used."""
    import msgspec

    return msgspec.structs.replace(noun, captured_at_ms=at_ms, sequence=noun.sequence + 10**6)


FAULTS: tuple[Fault, ...] = (
    *(kill_stage(name) for name in STAGES),
    Fault("SIGKILL of the supervisor", kill_supervisor),
    *(kill_broker(number) for number in range(3)),
    Fault("broker frozen for 30 s", freeze_broker),
    Fault("broker whose disk is full", fill_disk),
    *(door(state, all_of_them=False) for state in (State.SHUT, State.SLOW, State.DEAF)),
    *(door(state, all_of_them=True) for state in (State.SHUT, State.SLOW, State.DEAF)),
    Fault("access withdrawn", withdraw_access),
    Fault("topic missing", miss_topic),
    *(freeze_stage(name) for name in STAGES),
    *(succeed_stage(name) for name in STAGES),
    Fault("records repeated", repeat_records),
    Fault("poison", poison),
    Fault("records from the future", from_the_future),
)
