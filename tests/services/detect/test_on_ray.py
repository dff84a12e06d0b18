"""What Ray answers about workers, for whoever keeps the fleet: there, late, or gone for whatever reason Ray has."""

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray", reason="the fleet needs Ray (the ray extra)")

from ray.exceptions import ActorDiedError, ActorUnschedulableError, GetTimeoutError, OutOfMemoryError

from classpulse.detect import on_ray
from classpulse.detect.on_ray import RayGround
from classpulse.settings import Settings

pytestmark = pytest.mark.ray

LATE = GetTimeoutError()
GONE = (OutOfMemoryError("killed for its memory"), ActorDiedError(), ActorUnschedulableError("no such node"))


class Actor:
    """Answers with the same thing, each time it is asked."""

    def __init__(self, answer: Any) -> None:
        self.asked = 0
        self.health = SimpleNamespace(remote=self._ask)
        self._answer = answer

    def _ask(self) -> "Actor":
        self.asked += 1
        return self

    def get(self) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def ground(monkeypatch: pytest.MonkeyPatch) -> RayGround:
    """A ground whose questions are answered here."""
    monkeypatch.setattr(on_ray.ray, "wait", lambda questions, **_: (questions, []))
    monkeypatch.setattr(on_ray.ray, "get", lambda question, **_: question.get())
    return RayGround(Settings())


@pytest.mark.parametrize("error", GONE, ids=lambda error: type(error).__name__)
def test_a_worker_that_is_gone_is_no_answer_whatever_took_it(ground: RayGround, error: Exception) -> None:
    well = SimpleNamespace(pid=7)
    ground._actors = {0: Actor(error), 1: Actor(well)}
    assert ground.health([0, 1]) == {1: well}
    assert ground.health([0, 1]) == {1: well}, "and it is asked again: the slot may have another worker"
    assert ground._actors[0].asked == 2


def test_a_worker_that_does_not_answer_in_time_is_late_and_not_asked_twice(ground: RayGround) -> None:
    ground._actors = {0: Actor(LATE)}
    assert ground.health([0]) == {0: None}
    assert ground.health([0]) == {0: None}
    assert ground._actors[0].asked == 1
