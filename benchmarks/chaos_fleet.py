"""Claim: nothing that is done to a fleet, its releases or a training run needs a human, loses a frame, or changes a byte or a weight.

Three parts in turn, again and again until `--minutes` are over; what is drawn is drawn by a seed, which is printed.

*Fleet*: lessons in `complete` delivery over one broker, looked at by a fleet on Ray of its own; every fault of PROCESS_FAULTS
(tests/chaos/fleet_faults.py) in a drawn order, as long as the lessons last. Recovery: from the fault until the fleet has noticed it
and every worker that is wanted is at work. At the end ended events and final buckets are compared, byte for byte, with those of the
same lessons undisturbed on a file, and each camera's frames counted.

*Releases*: a camera in every partition, live, and RELEASE_FAULTS (tests/chaos/release_faults.py) in a drawn order. Recovery: until
every worker looks with what won. At the end every frame was seen once, each with a release that had been promoted.

*Training*: a small net on two workers; workers killed at drawn steps, and the disk full once. Recovery: until a newer state is kept.
At the end the curve and the weights are those of the same run undisturbed.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from deploy.local.kafka.cluster import Cluster
from measured import spread, write_result
from tests.brokers import MORTAL
from tests.chaos import nodes, trainings
from tests.chaos.fleet_faults import PROCESS_FAULTS, FleetScene
from tests.chaos.fleets import at_work, ended, fleet_route
from tests.chaos.release_faults import RELEASE_FAULTS, register_releases
from tests.chaos.route import Outcome, check, finish, outcome, wait_until, write_site

from classpulse.bus.base import open_bus

Told = list[tuple[str, float]]


def main() -> None:
    """Suffer for `--minutes` and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=25.0, help="no round of the three parts begins later than this"
    )
    parser.add_argument("--fps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=20260302)
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = write_site(folder, fps=asked.fps)
        assert finish(site) == 0
        pictures = trainings.make_pictures(folder / "voc")
        straight = trainings.train_undisturbed(pictures, folder / "straight")
        parts: dict[str, Callable[[random.Random], Told]] = {
            "fleet": partial(fleet_suffers, asked.fps, outcome(site)),
            "releases": releases_suffer,
            "training": partial(training_suffers, pictures, straight),
        }
        told: list[dict[str, Any]] = []
        rounds = 0
        while not rounds or time.monotonic() - began < 60 * asked.minutes:
            told += suffered(parts, asked.seed + rounds)
            rounds += 1
    names = sorted({one["fault"] for one in told})
    by_name = {name: [one["recovered_s"] for one in told if one["fault"] == name] for name in names}
    write_result(
        "chaos_fleet",
        {
            "claim": __doc__,
            "seed": asked.seed,
            "rounds": rounds,
            "faults": len(told),
            "recovered_s": spread([one["recovered_s"] for one in told]),
            "by_fault": {name: spread(values) for name, values in by_name.items()},
            "suffered": told,
        },
    )


def suffered(parts: dict[str, Callable[[random.Random], Told]], seed: int) -> list[dict[str, Any]]:
    """Each part once."""
    found = []
    for part, suffer in parts.items():
        print(f"{part}: seed {seed}", flush=True)
        for fault, seconds in suffer(random.Random(f"{part} {seed}")):
            found.append({"seed": seed, "fault": fault, "recovered_s": round(seconds, 2)})
    return found


def fleet_suffers(fps: int, undisturbed: Outcome, draw: random.Random) -> Told:
    """What one route and its fleet suffer until it has told its story, which is checked."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name)).lasting() as cluster:
        with fleet_route(Path(name), cluster.url(), fps) as (process, site):
            scene = FleetScene(process, site, cluster.url(), draw)
            for fault in draw.sample(PROCESS_FAULTS, len(PROCESS_FAULTS)):
                if not scene.suffer(fault):
                    break
                tell(scene.recovered_s[-1])
            ended(process, site)
        check(outcome(site, bus_url=cluster.url()), undisturbed)
        return scene.recovered_s


def releases_suffer(draw: random.Random) -> Told:
    """Promotions while cameras are looked at."""
    with tempfile.TemporaryDirectory() as name, broker(Path(name)).lasting() as cluster:
        site = nodes.write_site(Path(name), cluster.url())
        with nodes.running(site) as process, closing(open_bus(cluster.url())) as bus:
            wait_until(lambda: process.poll() is not None or at_work(site), site)
            scene = FleetScene(process, site, cluster.url(), draw)
            register_releases(scene)
            for fault in draw.sample(RELEASE_FAULTS, len(RELEASE_FAULTS)):
                assert scene.suffer(fault), "cameras that never end have ended"
                tell(scene.recovered_s[-1])
            nodes.take_cameras_away(bus, site)
            nodes.check_each_once(bus, site)
            assert nodes.seen_with(bus) <= {*scene.releases}
        return scene.recovered_s


def training_suffers(pictures: Path, straight: Path, draw: random.Random) -> Told:
    """A run that is killed twice and finds its disk full, at drawn steps."""
    recovered: Told = []
    faults = ["SIGKILL of a trainer's worker"] * 2 + ["disk full while a state is written"]
    draw.shuffle(faults)
    steps = sorted(draw.sample(range(trainings.STEPS - 4), len(faults)))
    with tempfile.TemporaryDirectory() as name, trainings.training(pictures, Path(name)) as trainer:
        folder = Path(name)
        for fault, step in zip(faults, steps, strict=True):
            trainings.wait_until(lambda step=step: trainings.steps_kept(folder) >= step, trainer)  # type: ignore[misc]
            trainings.wait_until(lambda: len(trainings.workers_of(trainer)) == trainings.WORKERS, trainer)
            kept, began = trainings.steps_kept(folder), time.monotonic()
            if fault.startswith("SIGKILL"):
                draw.choice(trainings.workers_of(trainer)).kill()
            else:
                trainings.fill_disk(trainer)
            trainings.wait_until(lambda kept=kept: trainings.steps_kept(folder) > kept, trainer)  # type: ignore[misc]
            recovered.append((fault, time.monotonic() - began))
            tell(recovered[-1])
        assert trainer.wait(trainings.LIMIT_S) == 0, trainings.said(folder)
        trainings.check(folder / "out", straight)
    return recovered


def broker(folder: Path) -> Cluster:
    """One node in plaintext."""
    return Cluster(folder / "kafka", 1, secure=False, wrapper=MORTAL)


def tell(recovered: tuple[str, float]) -> None:
    """For who watches."""
    print(f"{recovered[0]}: recovered in {recovered[1]:.1f} s", flush=True)


if __name__ == "__main__":
    main()
