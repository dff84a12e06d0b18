"""A route on three brokers suffers one fault after the other, drawn by a seed, and tells the same bytes. `make chaos` has them all."""

import os
import random
from pathlib import Path

import pytest

from tests.brokers import require_kafka
from tests.chaos.faults import FAULTS, scene
from tests.chaos.route import LIMIT_S, Outcome, check, outcome, tail

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.xdist_group("kafka-chaos")]

FPS = 2
SUFFERED = 4


def test_faults_one_after_the_other_change_nothing(undisturbed: Outcome, tmp_path: Path) -> None:
    require_kafka()
    seed = int(os.environ.get("CLASSPULSE_TEST_SEED", "20260302"))
    drawn = random.Random(seed).sample(FAULTS, len(FAULTS))
    with scene(tmp_path, seed, FPS) as route:
        for fault in drawn[:SUFFERED]:
            route.suffer(fault)
        assert route.process.wait(LIMIT_S) == 0, tail(route.site)
        assert route.recovered_s, f"seed {seed}: the lessons were over before anything was done to them"
        check(outcome(route.site, bus_url=route.cluster.url()), undisturbed)
