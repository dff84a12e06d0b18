"""A line of models changes by compare-and-set: of two who change it at once, one wins and the other is told."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from classpulse.bus.base import Bus
from classpulse.clock import SystemClock
from classpulse.errors import BadInput, Fenced
from classpulse.lines import Lines, promoted, rolled_back, with_canary, without_canary
from classpulse.records import ModelLine, ModelRelease
from classpulse.topics import MODELS
from tests.contracts.bus.desk import BUSES, Desk

A, B, C = "a" * 64, "b" * 64, "c" * 64


def release(digest: str) -> ModelRelease:
    return ModelRelease(
        digest=digest,
        name=f"net-{digest[0]}",
        labels=("hand-raising",),
        input_hw=(300, 300),
        figures=(),
        lineage=(),
        artefact=f"file:///models/{digest}",
    )


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.kafka, pytest.mark.xdist_group("kafka")] if name == "kafka" else [])
        for name in sorted(BUSES)
    ]
)
def bus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bus]:
    desk = Desk(BUSES[request.param], tmp_path)
    desk.bus.create([MODELS])
    yield desk.bus
    desk.close()


@pytest.fixture
def line(request: pytest.FixtureRequest) -> str:
    """A name that no other test's line has on a broker that they share."""
    return request.node.name


def test_without_a_promotion_there_is_no_line(bus: Bus, line: str) -> None:
    lines = Lines(bus, SystemClock())
    assert line not in lines.lines()
    with pytest.raises(BadInput, match="nothing was promoted before anything"):
        lines.change(line, rolled_back)
    with pytest.raises(BadInput, match="has no champion"):
        lines.change(line, lambda before: with_canary(before, A, ("t/s/r/c",)))


def test_a_line_remembers_its_changes_and_counts_them(bus: Bus, line: str) -> None:
    lines = Lines(bus, SystemClock())
    lines.change(line, lambda before: promoted(before, A))
    lines.change(line, lambda before: with_canary(before, B, ("t/s/r/c",)))
    assert lines.lines()[line] == ModelLine(line=line, champion=A, canary=B, canary_cameras=("t/s/r/c",), revision=2)
    lines.change(line, lambda before: promoted(before, B))
    assert lines.lines()[line] == ModelLine(line=line, champion=B, previous=A, revision=3)
    assert lines.change(line, rolled_back) == ModelLine(line=line, champion=A, previous=B, taken_back=True, revision=4)
    assert not lines.change(line, lambda before: promoted(before, C)).taken_back


def test_who_saw_an_older_revision_is_told(bus: Bus, line: str) -> None:
    lines = Lines(bus, SystemClock())
    seen = lines.change(line, lambda before: promoted(before, A)).revision
    lines.change(line, lambda before: promoted(before, B), revision=seen)
    with pytest.raises(BadInput, match=rf"line '.*': revision {seen + 1}; expected {seen}: it was changed meanwhile"):
        lines.change(line, lambda before: promoted(before, C), revision=seen)
    assert lines.lines()[line].champion == B


def test_of_two_promotions_at_once_one_wins_and_the_other_is_told(bus: Bus, line: str) -> None:
    first, second = Lines(bus, SystemClock()), Lines(bus, SystemClock())

    def slow(before: ModelLine) -> ModelLine:
        second.change(line, lambda found: promoted(found, B))
        return promoted(before, A)

    with pytest.raises((BadInput, Fenced), match="somebody else changes it now"):
        first.change(line, slow)
    assert lines_of(bus, line) == ModelLine(line=line, champion=B, revision=1)


def lines_of(bus: Bus, line: str) -> ModelLine:
    return Lines(bus, SystemClock()).lines()[line]


def test_a_release_goes_by_the_beginning_that_no_other_has(bus: Bus) -> None:
    lines = Lines(bus, SystemClock())
    for digest in (A, B, "bc" * 32):
        lines.register(release(digest))
    lines.register(release(A))
    assert lines.release("a") == release(A)
    assert lines.release(B) == release(B)
    with pytest.raises(BadInput, match=r"digest = 'b': 2 releases begin so; expected one of "):
        lines.release("b")
    for wrong in ("d", ""):
        with pytest.raises(BadInput, match="no such release"):
            lines.release(wrong)


def test_changes_that_make_no_sense_are_refused() -> None:
    line = ModelLine(line="main", champion=A, previous=B, canary=C, canary_cameras=("t/s/r/c",), revision=4)
    assert promoted(line, A) == line, "a champion that is promoted again changes nothing"
    assert promoted(line, C).canary is None
    assert promoted(line, B).canary == C
    assert without_canary(line) == msgspec.structs.replace(line, canary=None, canary_cameras=())
    with pytest.raises(BadInput, match="is its champion; expected another release as canary"):
        with_canary(line, A, ("t/s/r/c",))
