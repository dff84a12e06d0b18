"""How a release comes in beside the eyes that look on meanwhile."""

import numpy as np
import pytest

from classpulse.detect.sight import BUSY_OVER_MS, SHADOW_SHARE, TRY_AGAIN_MS, WATCHED_MS
from classpulse.detect.swap import SHADOW_LOOKS, SHADOW_MS
from classpulse.errors import BadInput, Recoverable
from classpulse.lines import rolled_back, with_canary, without_canary
from tests.services.detect.swapping import CAMERA, OTHER, PICTURE, FakeEyes, Rig, box
from tests.services.supervisor.running import wait_until


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_without_a_line_the_eyes_of_the_settings_look(rig: Rig) -> None:
    rig.turn()
    assert rig.see(CAMERA) == ("own", [box()])
    assert (rig.sight.refused, rig.sight.digest(CAMERA)) == ("", "own")


def test_a_promoted_release_comes_in_between_two_steps_when_it_has_seen_enough(rig: Rig) -> None:
    new = rig.register("new")
    assert isinstance(new, FakeEyes)
    rig.promote("new")
    rig.turn()
    rig.shadowed()
    assert rig.sight.digest(CAMERA) == "own", "never within a step"
    rig.turn()
    assert rig.sight.digest(CAMERA) == "new"
    assert new.looks >= SHADOW_LOOKS
    assert rig.sight.refused == ""


def swaps(rig: Rig) -> tuple[float | None, ...]:
    return tuple(rig.metrics.value("model_swap_total", result=result) for result in ("done", "refused", "rolled_back"))


def test_what_looks_and_what_became_of_releases_is_shown(rig: Rig) -> None:
    assert (swaps(rig), rig.metrics.value("model_info", digest="own")) == ((0, 0, 0), 1)
    rig.see(CAMERA)
    assert rig.metrics.value("stage_duration_seconds_count", stage="detect", step="look") == 1
    new = rig.register("new")
    assert isinstance(new, FakeEyes)
    rig.promote("new")
    rig.bring_in()
    assert (swaps(rig), [rig.metrics.value("model_info", digest=one) for one in ("own", "new")]) == ((1, 0, 0), [0, 1])
    new.breaks_at = 0
    rig.see(CAMERA)
    assert (swaps(rig), [rig.metrics.value("model_info", digest=one) for one in ("own", "new")]) == ((1, 0, 1), [1, 0])
    rig.promote("ghost")
    rig.turn()
    assert swaps(rig) == (1, 1, 1)


def test_looking_for_days_takes_no_more_memory(rig: Rig) -> None:
    for _ in range(2_000):
        rig.see(CAMERA)
        rig.clock.advance(90)
    assert len(rig.sight._looks) <= BUSY_OVER_MS // 100 + 1


def test_in_an_empty_night_a_release_comes_in_without_pictures(rig: Rig) -> None:
    rig.register("new")
    rig.promote("new")
    rig.turn()
    swap = rig.sight._champion.swap
    assert swap is not None
    wait_until(lambda: swap.wants)
    rig.clock.advance(SHADOW_MS)
    wait_until(lambda: swap.ready is not None)
    rig.turn()
    assert rig.sight.digest(CAMERA) == "new"


@pytest.mark.parametrize(
    ("eyes", "why"),
    [
        (BadInput(["release new: model.onnx is of 1234; expected its own"]), "model.onnx is of 1234"),
        (BadInput(["memory: 10 MiB available; expected 75 MiB for a second net"]), "memory: 10 MiB available"),
        (RuntimeError("no kernel image"), "RuntimeError: no kernel image"),
    ],
)
def test_a_release_that_cannot_be_opened_is_refused_once_and_said(rig: Rig, eyes: Exception, why: str) -> None:
    rig.register("new", eyes)
    rig.promote("new")
    rig.turn()
    rig.shadowed()
    for _ in range(3):
        rig.turn()
        assert rig.sight._champion.swap is None
    assert rig.opened == ["new"], "not tried again and again"
    assert rig.sight.digest(CAMERA) == "own"
    assert why in rig.sight.refused


def test_a_release_that_is_not_registered_is_refused(rig: Rig) -> None:
    rig.promote("ghost")
    rig.turn()
    assert rig.sight.refused == "ghost: not registered"
    assert rig.sight.digest(CAMERA) == "own"


def test_a_release_that_breaks_off_in_the_shadow_is_refused(rig: Rig) -> None:
    new = FakeEyes("new", rig.clock)
    new.breaks_at = 2
    rig.register("new", new)
    rig.promote("new")
    rig.bring_in()
    assert rig.sight.digest(CAMERA) == "own"
    assert "cudaErrorIllegalAddress" in rig.sight.refused


def test_a_release_that_breaks_off_after_the_flip_loses_no_picture_and_the_former_looks_again(rig: Rig) -> None:
    new = rig.register("new")
    assert isinstance(new, FakeEyes)
    rig.promote("new")
    rig.bring_in()
    new.breaks_at = 0
    assert rig.see(CAMERA) == ("own", [box()])
    assert rig.sight.refused.startswith("new: broke off (ValueError: CUDA")
    rig.turn()
    assert rig.sight.digest(CAMERA) == "own"


def test_long_after_the_flip_there_is_nobody_to_stand_in(rig: Rig) -> None:
    new = rig.register("new")
    assert isinstance(new, FakeEyes)
    rig.promote("new")
    rig.bring_in()
    rig.clock.advance(WATCHED_MS)
    rig.turn()
    new.breaks_at = 0
    with pytest.raises(ValueError, match="cudaErrorIllegalAddress"):
        rig.see(CAMERA)


def test_long_after_the_flip_the_champion_before_stands_in(rig: Rig) -> None:
    rig.register("first")
    new = rig.register("second")
    assert isinstance(new, FakeEyes)
    for digest in ("first", "second"):
        rig.promote(digest)
        rig.bring_in()
    rig.clock.advance(WATCHED_MS)
    rig.turn()
    new.breaks_at = 0
    assert rig.see(CAMERA)[0] == "first"
    assert rig.sight.refused.startswith("second: broke off")


def test_a_canary_that_breaks_off_leaves_its_picture_to_the_champion(rig: Rig) -> None:
    canary = rig.bring_in_canary()
    canary.breaks_at = 0
    assert rig.see(OTHER) == ("own", [box()])
    rig.turn()
    assert rig.sight.digest(OTHER) == "own", "not again"
    assert rig.sight.refused.startswith("canary: broke off")


def test_what_is_taken_back_is_not_compared_with_what_is_to_go(rig: Rig) -> None:
    good, bad = rig.register("good"), FakeEyes("bad", rig.clock, [box(0.7)])
    rig.register("bad", bad)
    assert isinstance(good, FakeEyes)
    rig.sight._champion.eyes = bad
    rig.promote("good")
    rig.promote("bad")
    rig.turn()
    rig.lines.change("main", rolled_back)
    wait_until(lambda: rig.turn() or rig.see(CAMERA)[0] == "good" or rig.sight.refused)
    assert (rig.sight.digest(CAMERA), rig.sight.refused) == ("good", "")


def test_a_store_that_is_away_for_a_while_is_no_verdict(rig: Rig) -> None:
    rig.register("new", Recoverable("registry: no route to host"))
    rig.promote("new")
    wait_until(lambda: rig.turn() or rig.sight._champion.due_ms)
    assert (rig.sight._champion.swap, rig.sight.refused) == (None, "")
    rig.there["new"] = FakeEyes("new", rig.clock)
    rig.turn()
    assert rig.sight._champion.swap is None, "not at once"
    rig.clock.advance(TRY_AGAIN_MS)
    rig.bring_in()
    assert rig.sight.digest(CAMERA) == "new"


def test_a_first_canary_is_compared_on_its_own_cameras_before_it_looks(rig: Rig) -> None:
    rig.promote("own")
    canary = rig.name_canary(FakeEyes("canary", rig.clock, [box(0.7)]))
    rig.bring_in()
    assert canary.looks >= SHADOW_LOOKS
    assert rig.sight.digest(OTHER) == "own"
    assert rig.sight.refused.startswith("canary: agrees with 0% of 40 boxes in 20 looks")


def test_what_other_cameras_show_does_not_speak_for_a_canary(rig: Rig) -> None:
    rig.promote("own")
    canary = rig.name_canary()
    rig.turn()
    swap = rig.sight._canary.swap
    assert swap is not None
    wait_until(lambda: swap.wants)
    rig.see(CAMERA)
    assert swap.wants
    rig.see(OTHER)
    wait_until(lambda: canary.looks == 1)


def test_a_champion_that_breaks_off_while_a_canary_comes_in_is_what_is_taken_back(rig: Rig) -> None:
    new = rig.register("new")
    assert isinstance(new, FakeEyes)
    rig.promote("new")
    rig.bring_in()
    rig.name_canary()
    rig.turn()
    assert rig.sight._canary.swap is not None
    new.breaks_at = 0
    assert rig.see(OTHER) == ("own", [box()])
    assert rig.sight.refused.startswith("new: broke off")
    assert rig.sight._canary.refused == {}


def test_a_champion_is_compared_also_where_all_cameras_are_the_canarys_which_comes_in_after_it(rig: Rig) -> None:
    new = rig.register("new")
    assert isinstance(new, FakeEyes)
    rig.promote("new")
    rig.name_canary(cameras=(CAMERA, OTHER))
    rig.turn()
    assert rig.sight._canary.swap is None, "what it is compared with comes in first"
    rig.shadowed()
    assert new.looks >= SHADOW_LOOKS
    rig.turn()
    rig.bring_in()
    assert (rig.sight.champion.digest, rig.sight.digest(OTHER)) == ("new", "canary")


def test_a_champion_that_is_promoted_while_a_canary_comes_in_is_compared_on_the_canarys_cameras(rig: Rig) -> None:
    rig.promote("own")
    rig.name_canary(cameras=(CAMERA, OTHER))
    rig.turn()
    new = FakeEyes("new", rig.clock, [box(0.7)])
    rig.register("new", new)
    rig.promote("new")
    rig.lines.change("main", lambda before: with_canary(before, "canary", (CAMERA, OTHER)))
    rig.turn()
    assert rig.sight._canary.swap is not None
    rig.shadowed()
    rig.turn()
    assert "new: agrees with 0% of " in rig.sight.refused


def test_a_canary_that_is_stopped_on_its_way_does_not_come(rig: Rig) -> None:
    rig.promote("own")
    rig.name_canary()
    rig.turn()
    rig.lines.change("main", without_canary)
    rig.turn()
    assert rig.sight._canary.swap is None
    assert rig.sight.digest(OTHER) == "own"


def test_a_canary_looks_at_its_cameras_only_and_goes_when_told(rig: Rig) -> None:
    for digest in ("champion", "canary"):
        rig.register(digest)
    rig.promote("champion")
    rig.lines.change("main", lambda before: with_canary(before, "canary", (OTHER,)))
    for _ in ("champion", "then the canary"):
        rig.bring_in()
    assert (rig.sight.digest(CAMERA), rig.sight.digest(OTHER)) == ("champion", "canary")
    rig.lines.change("main", without_canary)
    rig.turn()
    assert (rig.sight.digest(CAMERA), rig.sight.digest(OTHER)) == ("champion", "champion")


def test_what_was_refused_is_tried_again_when_the_line_moves(rig: Rig) -> None:
    rig.register("new", BadInput(["release new: the store is away"]))
    rig.promote("new")
    rig.bring_in()
    rig.there["new"] = FakeEyes("new", rig.clock)
    rig.promote("own")
    rig.promote("new")
    rig.bring_in()
    assert (rig.sight.digest(CAMERA), rig.sight.refused) == ("new", "")


def test_the_shadow_has_a_twentieth_of_its_time(rig: Rig) -> None:
    new = FakeEyes("new", rig.clock, took_ms=100)
    rig.register("new", new)
    rig.promote("new")
    rig.turn()
    swap = rig.sight._champion.swap
    assert swap is not None
    given = []
    for _ in range(3):
        wait_until(lambda: swap.wants)
        looks = new.looks
        rig.see(CAMERA)
        wait_until(lambda: new.looks > looks and swap.wants)  # noqa: B023 - waited for here
        assert swap.share >= SHADOW_SHARE
        rig.see(CAMERA)
        assert swap.wants, "it has had its part"
        given.append(new.looks - looks)
        rig.clock.advance(2_000)
    assert given == [1, 1, 1]


def test_pictures_of_a_look_are_looked_at_together_by_role(rig: Rig) -> None:
    own, canary = rig.sight.champion, rig.bring_in_canary()
    assert isinstance(own, FakeEyes)
    canary.seen, before = [box(0.5)], (own.looks, canary.looks)
    cameras = (CAMERA, OTHER, "t/s/r/side", OTHER)
    seen = rig.sight.see([(camera, PICTURE) for camera in cameras])
    assert seen == [("own", own.seen), ("canary", canary.seen), ("own", own.seen), ("canary", canary.seen)]
    assert (own.looks, canary.looks) == (before[0] + 1, before[1] + 1)


def test_each_picture_of_a_look_gets_its_own_answer(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig.sight.champion, "see", lambda pictures: [[box(float(one.mean()) / 10)] for one in pictures])
    pictures = [np.full((9, 16, 3), level, np.uint8) for level in (1, 3, 2)]
    seen = rig.sight.see([(camera, one) for camera, one in zip((CAMERA, OTHER, CAMERA), pictures, strict=True)])
    assert seen == [("own", [box(0.1)]), ("own", [box(0.3)]), ("own", [box(0.2)])]


def test_a_canary_that_breaks_off_in_a_look_leaves_its_pictures_to_the_champion(rig: Rig) -> None:
    canary = rig.bring_in_canary()
    canary.breaks_at = 0
    assert rig.sight.see([(CAMERA, PICTURE), (OTHER, PICTURE)]) == [("own", [box()]), ("own", [box()])]
    assert rig.sight.refused.startswith("canary: broke off")


def test_a_champion_that_breaks_off_in_a_look_leaves_all_its_pictures_to_the_former_one(rig: Rig) -> None:
    new = rig.register("new")
    assert isinstance(new, FakeEyes)
    rig.promote("new")
    rig.bring_in()
    new.breaks_at = 0
    assert rig.sight.see([(CAMERA, PICTURE), (OTHER, PICTURE)]) == [("own", [box()])] * 2
