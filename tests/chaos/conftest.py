"""What the chaos tests compare with."""

import pytest

from tests.chaos.route import LESSONS, Outcome, finish, outcome, sampled_frames, write_site


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The route left alone, with every frame accounted for against a count of the clips by another path."""
    site = write_site(tmp_path_factory.mktemp("undisturbed"))
    assert finish(site) == 0
    found = outcome(site)
    expected = {f"chaos/school/room-{n}": sampled_frames(LESSONS / f"lesson-{n}.mp4") for n in (1, 2, 3)}
    assert found.accounted == expected
    assert found.missing == {}
    assert found.events.count(b"\n") > 10, "lessons without events prove nothing"
    return found
