"""Claim: nothing that is done to the stages, the brokers or the network between them needs a human, or changes a byte.

Lessons in `complete` delivery over three brokers with users and TLS, behind a TCP proxy; every fault of tests/chaos/faults.py in
an order drawn by a seed, one after the other, again and again until enough were suffered. Recovery: from the end of a fault
until the aggregator has read all that was known then and something newer has come. At the end of each route its ended events and final
buckets are compared, byte for byte, with those of the same lessons undisturbed on a file, and each camera's frames counted.
"""

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

from measured import spread, write_result
from tests.chaos.faults import FAULTS, Fault, scene
from tests.chaos.route import LIMIT_S, Outcome, check, finish, outcome, tail, write_site


def main() -> None:
    """Suffer `--faults` faults and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=56)
    parser.add_argument("--fps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=20260302)
    asked = parser.parse_args()
    print(f"seed {asked.seed}")
    with tempfile.TemporaryDirectory() as folder:
        site = write_site(Path(folder), fps=asked.fps)
        assert finish(site) == 0
        undisturbed = outcome(site)
    told: list[dict[str, Any]] = []
    routes = 0
    while len(told) < asked.faults:
        told += suffered(drawn(asked.seed, asked.faults)[len(told) :], asked.seed + routes, asked.fps, undisturbed)
        routes += 1
    by_name = {fault.name: [one["recovered_s"] for one in told if one["fault"] == fault.name] for fault in FAULTS}
    write_result(
        "chaos",
        {
            "claim": __doc__,
            "seed": asked.seed,
            "routes": routes,
            "frames_a_route": sum(undisturbed.accounted.values()),
            "faults": len(told),
            "recovered_s": spread([one["recovered_s"] for one in told]),
            "by_fault": {name: spread(values) for name, values in by_name.items() if values},
            "suffered": told,
        },
    )


def drawn(seed: int, count: int) -> list[Fault]:
    """Every fault in a drawn order, then again in another, until there are enough."""
    draw, found = random.Random(seed), list[Fault]()
    while len(found) < count:
        found += draw.sample(FAULTS, len(FAULTS))
    return found[:count]


def suffered(faults: list[Fault], seed: int, fps: int, undisturbed: Outcome) -> list[dict[str, Any]]:
    """What one route suffers until it has told its story, which is checked."""
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder), seed, fps) as route:
        for fault in faults:
            if not route.suffer(fault):
                break
            name, seconds = route.recovered_s[-1]
            print(f"{name}: recovered in {seconds:.1f} s", flush=True)
        assert route.process.wait(LIMIT_S) == 0, tail(route.site)
        check(outcome(route.site, bus_url=route.cluster.url()), undisturbed)
        return [{"fault": name, "recovered_s": round(seconds, 2)} for name, seconds in route.recovered_s]


if __name__ == "__main__":
    main()
