"""A route whose fleet is on several nodes of a Ray cluster, with cameras that never end."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from classpulse.bus.base import Bus
from classpulse.clock import SystemClock
from classpulse.codec import decode
from classpulse.detect.fleet import View
from classpulse.reading import stored_records
from classpulse.records import CameraReport, FrameDetections, IngestState, Record, room_of
from classpulse.roster import Declared, Roster
from classpulse.topics import DETECTIONS, FRAMES, INGEST_STATE, REPORTS, Topic, partition_of
from tests.chaos.fleets import view
from tests.chaos.route import LIMIT_S, tail, up, wait_until
from tests.raylets import WAYS, Raylets

CAMERAS = tuple(
    next(
        one
        for one in map(f"mixed/school/room-{number}/{{}}".format, count())
        if partition_of(one, FRAMES.partitions) == number
    )
    for number in range(FRAMES.partitions)
)
"""One in every partition: whatever partitions a worker has, it sees a camera."""

STILL_MS = 2_000
LOOK_S = 0.5


def write_site(folder: Path, bus: str, ray: str = "") -> Path:
    """A small drawn picture every five seconds, of which nothing may be dropped. `ray`: where the fleet is."""
    lines = ["[settings]", f'data = "{folder}/data"', 'model = "classroom-640"', f'bus = "{bus}"']
    lines += ['runner = "ray"', f'ray_address = "{ray}"', ""]
    for number, camera in enumerate(CAMERAS):
        lines += ["[[rooms]]", f'room = "{room_of(camera)}"', "", "[[cameras]]", f'camera = "{camera}"']
        lines += [f'source = "synth://?seed={number}&width=320&height=180&fps=1"']
        lines += ['delivery = "complete"', "fps = 0.2", ""]
    path = folder / "site.toml"
    path.write_text("\n".join(lines))
    return path


@contextmanager
def running(site: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The route, ended at the end."""
    process = up(site, apart=True, **WAYS)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=LIMIT_S)


def fleet(cluster: Raylets, *words: str) -> str:
    """What a command about the fleet says."""
    command = [sys.executable, "-m", "classpulse.cli", "fleet", *words, "--address", cluster.address]
    ran = subprocess.run(command, env={**os.environ, **WAYS}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def workers_on(now: View, name: str) -> list[int]:
    """The slots of a node's workers."""
    ids = {node.id for node in now.nodes if node.name == name}
    return [slot.number for slot in now.slots if slot.node in ids]


def wait_until_seen_from(bus: Bus, nodes: Collection[str], site: Path) -> None:
    """Until all cameras are looked at, as their reports say from now on, from these nodes and no others."""
    start = bus.ends(REPORTS)[0][1]
    seen: dict[str, str] = {}

    def so() -> bool:
        nonlocal start
        for record in stored_records(bus, REPORTS, 0, start=start):
            start, noun = record.offset + 1, decode(record)
            if isinstance(noun, CameraReport) and noun.stage == "detect" and noun.camera in CAMERAS:
                seen[noun.camera] = noun.node
        return seen.keys() == {*CAMERAS} and {*seen.values()} == {*nodes}

    wait_until(so, site, LOOK_S)


def take_cameras_away(bus: Bus, site: Path) -> None:
    """And wait until all that was captured is looked at."""
    Roster(bus, SystemClock()).apply((), (), before=Declared(cameras=CAMERAS))
    clock = SystemClock()
    still_since_ms, before = clock.monotonic_ms(), bus.ends(FRAMES)

    def still() -> bool:
        nonlocal still_since_ms, before
        now = bus.ends(FRAMES)
        if now != before or bus.lag("detect", FRAMES)[0]:
            still_since_ms, before = clock.monotonic_ms(), now
        return clock.monotonic_ms() - still_since_ms >= STILL_MS

    wait_until(still, site, LOOK_S)


def check_each_once(bus: Bus, site: Path) -> None:
    """Of every camera each frame that was captured was seen, in order, once."""
    seen: dict[tuple[str, int], list[int]] = defaultdict(list)
    for noun in everything(bus, DETECTIONS):
        if isinstance(noun, FrameDetections):
            seen[noun.camera, noun.epoch].append(noun.sequence)
    states = [decode(record) for record in bus.latest(INGEST_STATE)]
    ingested = {(one.camera, one.epoch): one.next_sequence for one in states if isinstance(one, IngestState)}
    assert {camera for camera, _ in ingested} == {*CAMERAS}, tail(site)
    assert seen == {key: list(range(count)) for key, count in ingested.items()}, tail(site)


def seen_with(bus: Bus) -> set[str]:
    """The digests of all that looked."""
    return {noun.model for noun in everything(bus, DETECTIONS) if isinstance(noun, FrameDetections)}


def everything(bus: Bus, topic: Topic) -> Iterator[Record]:
    """What a topic holds, partition after partition."""
    for partition in range(topic.partitions):
        yield from map(decode, stored_records(bus, topic, partition))


def now_of(site: Path) -> View:
    """How the fleet is."""
    now = view(site)
    assert now is not None
    return now
