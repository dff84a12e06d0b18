"""Promise 2b: in `complete` delivery the outcome is byte-identical and every frame is accounted for, whatever is killed when."""

import os
from pathlib import Path

import pytest

from classpulse.faults import POINTS
from tests.chaos.route import Outcome, check, finish, finish_under_random_kills, outcome, write_site

pytestmark = pytest.mark.chaos

LEAST_KILLS = {
    "ingest.decoded:120": 4,
    "ingest.encoded:120": 4,
    "ingest.published:120": 4,
    "stage.polled:10": 4,
    "stage.stepped:10": 4,
    "stage.committed:10": 4,
    "aggregate.state_taken:10": 2,
    "bus.begun:150": 3,
    "bus.outputs_written:150": 3,
    "bus.positions_written:100": 3,
}
"""Each point with the pass at which a process dies, again after each restart, and the kills a run must have seen."""

SUPERVISOR_KILLS = {"supervisor.stage_started:2": 2, "supervisor.watching:4": 2}
ELSEWHERE = ("export", "erase", "bridge")
"""Their points are passed by commands and by a school edge, and killed in tests of their own."""

RANDOM_KILLS, LEAST_RANDOM = 8, 4


def test_the_points_killed_here_are_all_there_are_and_the_kills_are_at_least_forty() -> None:
    killed = {spec.partition(":")[0] for spec in (*LEAST_KILLS, *SUPERVISOR_KILLS)}
    assert killed == {point for point in POINTS if point.partition(".")[0] not in ELSEWHERE}
    assert sum(LEAST_KILLS.values()) + sum(SUPERVISOR_KILLS.values()) + LEAST_RANDOM >= 40


@pytest.mark.parametrize("spec", sorted(LEAST_KILLS))
def test_a_stage_killed_again_and_again_at_a_named_point_changes_nothing(
    spec: str, undisturbed: Outcome, tmp_path: Path
) -> None:
    site = write_site(tmp_path)
    kills = finish(site, spec)
    assert kills >= LEAST_KILLS[spec]
    check(outcome(site), undisturbed)


@pytest.mark.parametrize("spec", sorted(SUPERVISOR_KILLS))
def test_a_killed_supervisor_takes_its_stages_with_it_and_changes_nothing(
    spec: str, undisturbed: Outcome, tmp_path: Path
) -> None:
    site = write_site(tmp_path)
    kills = finish(site, spec, rearm=SUPERVISOR_KILLS[spec])
    assert kills >= SUPERVISOR_KILLS[spec]
    check(outcome(site), undisturbed)


def test_kills_at_random_moments_change_nothing(undisturbed: Outcome, tmp_path: Path) -> None:
    seed = int(os.environ.get("CLASSPULSE_TEST_SEED", "20260302"))
    site = write_site(tmp_path)
    assert finish_under_random_kills(site, seed, RANDOM_KILLS) >= LEAST_RANDOM, f"seed {seed}"
    check(outcome(site), undisturbed)
