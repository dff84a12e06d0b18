"""The whole route as a person starts it, killed on purpose: what the chaos tests share."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import av
import msgspec
import numpy as np
import psutil

from classpulse.audit import Audit, audit
from classpulse.bus.base import Bus, Place, open_bus
from classpulse.codec import canonical, decode
from classpulse.demo.bundled import bundled_lessons
from classpulse.detect.eyes import open_eyes
from classpulse.records import BehaviourEvent, TimelineBucket, room_of
from classpulse.settings import Settings
from classpulse.topics import EVENTS, TIMELINES
from tests.support import ROOT

LESSONS = ROOT / "services" / "classpulse" / "demo" / "lessons"
START = "2026-03-02T08:00:00Z"
FPS = 2
LIMIT_S = 240.0
MODEL = "classroom-640"
LOOKING_S = 60.0
MOST_FPS = 6
FEW_CORES = 2
LOOKS = 5
BLANK = np.zeros((540, 960, 3), np.uint8)


@dataclass
class Outcome:
    """What a route left behind: canonical bytes, the account of every room, how often it was killed, and its audit."""

    events: bytes
    buckets: bytes
    accounted: dict[str, int]
    kills: int = 0
    missing: dict[str, int] = field(default_factory=dict)
    audited: Audit | None = None


def write_site(folder: Path, bus: str = "", fps: int = FPS, runner: str = "processes") -> Path:
    """Three rooms, each with one bundled lesson in complete delivery, at fixed event times; with MODEL."""
    lines = [
        "[settings]",
        f'data = "{folder}/data"',
        f'model = "{MODEL}"',
        *([f'bus = "{bus}"'] if bus else []),
        f'runner = "{runner}"',
        "",
    ]
    for number in (1, 2, 3):
        room = f"chaos/school/room-{number}"
        lines += ["[[rooms]]", f'room = "{room}"', "", "[[cameras]]", f'camera = "{room}/front"']
        lines += [f'source = "file://{LESSONS}/lesson-{number}.mp4?start={START}"']
        lines += ['delivery = "complete"', f"fps = {fps}.0", ""]
    path = folder / "site.toml"
    path.write_text("\n".join(lines))
    return path


@cache
def lasting_fps() -> int:
    """So many frames a second that two cores of this machine look at the lessons for about LOOKING_S, if MOST_FPS is enough for that.

    The lessons are to outlast what is done to their route; on a slow machine MOST_FPS would need half an hour.
    """
    if (os.cpu_count() or 1) > FEW_CORES:
        return MOST_FPS
    eyes = open_eyes(Settings(model=Path(MODEL)), "cpu")
    began_s = time.process_time()
    for _ in range(LOOKS):
        eyes.see([BLANK])
    look_s = (time.process_time() - began_s) / LOOKS
    lessons_s = sum(lesson.truth.duration_ms for lesson in bundled_lessons(LESSONS)) / 1000
    return max(FPS, min(MOST_FPS, round(LOOKING_S / (lessons_s * look_s))))


def sampled_frames(clip: Path) -> int:
    """Frames of a clip on the sampling grid, counted by decoding it here: the first at or after each k / FPS seconds."""
    taken, due_ms = 0, 0.0
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            at_ms = float(frame.time or 0) * 1000
            if at_ms + 0.5 >= due_ms:
                taken += 1
                while at_ms + 0.5 >= due_ms:
                    due_ms += 1000 / FPS
    return taken


def up(site: Path, fault: str = "", *, apart: bool = False, **more: str) -> subprocess.Popen[bytes]:
    """`classpulse up`, as a process of its own, with `more` in its environment.

    `apart`: in a session of its own. Linux shares its cores among sessions: it has as much as all that is in the test's.
    """
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "CLASSPULSE_FAULT": fault, **more}
    command = [sys.executable, "-m", "classpulse.cli", "up", str(site)]
    with (site.parent / "up.log").open("ab") as log:
        return subprocess.Popen(command, cwd=site.parent, env=environ, stdout=log, stderr=log, start_new_session=apart)


def finish(site: Path, fault: str = "", rearm: int = 10**6) -> int:
    """Start again and again until it ends by itself; the number of times it was killed (supervisor and stages)."""
    killed, deadline = 0, time.monotonic() + LIMIT_S
    while True:
        process = up(site, fault if killed < rearm else "")
        try:
            code = process.wait(timeout=max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"not finished within {LIMIT_S} s:\n{tail(site)}") from None
        if code == 0:
            return killed + stages_killed(site)
        assert code == -signal.SIGKILL, f"ended with {code}:\n{tail(site)}"
        killed += 1


def finish_under_random_kills(site: Path, seed: int, kills: int) -> int:
    """Kill a random process of the route at random moments, `kills` times, then let it end; the kills that hit."""
    draw, hits = random.Random(seed), 0
    process = up(site)
    while hits < kills:
        time.sleep(draw.uniform(0.2, 2.5))
        if process.poll() is not None:
            if process.returncode == 0:
                return hits
            assert process.returncode == -signal.SIGKILL, tail(site)
            process = up(site)
            continue
        try:
            draw.choice(alive(process)).kill()
            hits += 1
        except psutil.NoSuchProcess:
            continue
    process.wait(timeout=LIMIT_S) if process.poll() is None else None
    if process.returncode != 0:
        finish(site)
    return hits


def alive(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The supervisor and its stages, each known by more than its number: a stale one cannot be killed for another."""
    supervisor = psutil.Process(process.pid)
    return [supervisor, *supervisor.children()]


def stages_killed(site: Path) -> int:
    """How many stages the supervisors saw die of SIGKILL; on a file none may have ended otherwise before its time."""
    ends = [line for line in (site.parent / "up.log").read_text().splitlines() if "; starting again in " in line]
    killed = [line for line in ends if "signal SIGKILL" in line]
    assert len(killed) == len(ends) or 'bus = "kafka' in site.read_text(), ends
    return len(killed)


def log_of(site: Path) -> str:
    """What `up` and its stages have said."""
    path = site.parent / "up.log"
    return path.read_text() if path.exists() else ""


def tail(site: Path) -> str:
    """The end of the log."""
    return "\n".join(log_of(site).splitlines()[-40:])


def wait_until(condition: Callable[[], bool], site: Path, every_s: float = 0.02) -> None:
    """Until something is so; asked so often."""
    give_up = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < give_up, tail(site)
        time.sleep(every_s)


def check(found: Outcome, undisturbed: Outcome) -> None:
    """Every frame is in the timeline, and it is the same to the byte."""
    assert found.missing == {}
    assert found.audited is not None
    assert found.audited.balanced, found.audited
    assert {room_of(a.camera): a.in_timelines for a in found.audited.accounts} == found.accounted
    assert found.accounted == undisturbed.accounted
    assert found.events == undisturbed.events
    assert found.buckets == undisturbed.buckets


def outcome(site: Path, kills: int = 0, bus_url: str = "") -> Outcome:
    """Read what was published: ended events and final buckets, canonical, sorted by key, without `revision`."""
    bus = open_bus(bus_url or f"sqlite://{site.parent}/data/bus.sqlite")
    try:
        return _outcome(bus, kills)
    finally:
        bus.close()


def _outcome(bus: Bus, kills: int) -> Outcome:
    events = [noun for noun in _all(bus, EVENTS.name) if isinstance(noun, BehaviourEvent)]
    ended = sorted(canonical(event) for event in events if event.phase == "ended")
    assert len(set(ended)) == len(ended), "an event was published twice"
    started = [event.id for event in events if event.phase == "started"]
    assert sorted(started) == sorted({e.id for e in events}), "a phase is missing or doubled"
    latest = [decode(record) for record in bus.latest(TIMELINES)]
    buckets = [noun for noun in latest if isinstance(noun, TimelineBucket)]
    assert all(bucket.final for bucket in buckets), "a bucket is not final"
    plain = sorted(canonical(msgspec.structs.replace(bucket, revision=0)) for bucket in buckets)
    accounted: dict[str, int] = {}
    missing: dict[str, int] = {}
    for bucket in buckets:
        accounted[bucket.room] = accounted.get(bucket.room, 0) + bucket.frames + sum(bucket.missing.values())
        for reason, count in bucket.missing.items():
            missing[reason] = missing.get(reason, 0) + count
    return Outcome(b"\n".join(ended), b"\n".join(plain), accounted, kills, missing, audit(bus))


def _all(bus: Bus, topic: str) -> list[object]:
    from classpulse.topics import TOPICS

    return [
        decode(record)
        for partition, (first, end) in bus.ends(TOPICS[topic]).items()
        for record in bus.fetch(Place(topic, partition), first, max_records=end - first + 1, max_bytes=2**33)
    ]
