"""A route on three brokers suffers one fault after the other, drawn by a seed, and tells the same bytes. `make chaos` has them all."""

import os
import random
from pathlib import Path

import pytest

from tests.brokers import require_kafka
from tests.chaos.faults import FAULTS, scene
from tests.chaos.route import LIMIT_S, check, finish, lasting_fps, outcome, tail, write_site

pytestmark = [pytest.mark.chaos, pytest.mark.kafka, pytest.mark.xdist_group("kafka-chaos")]

SUFFERED = 4


def test_faults_one_after_the_other_change_nothing(tmp_path: Path) -> None:
    require_kafka()
    alone = tmp_path / "alone"
    alone.mkdir()
    undisturbed_site = write_site(alone, fps=lasting_fps())
    assert finish(undisturbed_site) == 0
    seed = int(os.environ.get("CLASSPULSE_TEST_SEED", "20260302"))
    drawn = random.Random(seed).sample(FAULTS, SUFFERED)
    with scene(tmp_path, seed, lasting_fps(), brief=True) as route:
        for fault in drawn:
            assert route.suffer(fault), f"seed {seed}: the lessons were over before {fault.name}"
        assert route.process.wait(LIMIT_S) == 0, tail(route.site)
        check(outcome(route.site, bus_url=route.cluster.url()), outcome(undisturbed_site))
