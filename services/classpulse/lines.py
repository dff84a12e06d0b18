"""operator → bus: which releases there are, and which of them a line of workers uses, as it stands on models.v1.

A change of a line says which revision it was made from. Who changes a line takes the writer's place first, so of two that do so
at once the earlier is refused by the bus, and of two in turn the later sees that the line has moved.
"""

from collections.abc import Callable
from typing import Self

import msgspec

from classpulse.bus.base import Bus, Member
from classpulse.bus.compacted import Compacted
from classpulse.clock import Clock
from classpulse.codec import encode
from classpulse.errors import BadInput, Fenced
from classpulse.records import ModelLine, ModelRelease, Record
from classpulse.topics import MODELS

Change = Callable[[ModelLine], ModelLine]


class Lines:
    """Releases and lines on one bus."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus, self._clock, self._known = bus, clock, Compacted(bus, MODELS)

    def releases(self) -> dict[str, ModelRelease]:
        """Every registered release by its digest."""
        return {noun.digest: noun for noun in self._known.nouns() if isinstance(noun, ModelRelease)}

    def lines(self) -> dict[str, ModelLine]:
        """Every line by its name."""
        return {noun.line: noun for noun in self._known.nouns() if isinstance(noun, ModelLine)}

    def release(self, digest: str) -> ModelRelease:
        """A release by its digest, or by the beginning that no other has. Raises BadInput for any other."""
        known = self.releases()
        found = [key for key in known if key.startswith(digest)] if digest else []
        if len(found) != 1:
            what = f"{len(found)} releases begin so" if found else "no such release"
            there = ", ".join(sorted(key[:12] for key in known)) or "none: `classpulse models register` adds them"
            raise BadInput([f"digest = {digest!r}: {what}; expected one of {there}"])
        return known[found[0]]

    def register(self, release: ModelRelease) -> None:
        """Make a release known. What is known says the same already: its digest is that of its bytes."""
        if self.releases().get(release.digest) != release:
            with _Writer(self._bus) as writer:
                writer.append(release, self._clock.now_ms())

    def change(self, line: str, change: Change, *, revision: int | None = None) -> ModelLine:
        """Change a line, from `revision` on where one is given; gives the line as it is then. A new line has no champion.

        Raises BadInput where it has moved on meanwhile, or another changes it at the same moment; what `change` raises.
        """
        with _Writer(self._bus) as writer:
            before = self.lines().get(line, ModelLine(line=line, champion="", revision=0))
            if revision is not None and before.revision != revision:
                raise BadInput(
                    [f"line {line!r}: revision {before.revision}; expected {revision}: it was changed meanwhile"]
                )
            after = msgspec.structs.replace(change(before), revision=before.revision + 1)
            try:
                writer.append(after, self._clock.now_ms())
            except Fenced as error:
                raise BadInput(
                    [f"line {line!r}: somebody else changes it now; expected to be alone: look, and try again"]
                ) from error
        return after


class _Writer:
    """The one place from which models.v1 is written."""

    def __init__(self, bus: Bus) -> None:
        self._member: Member = bus.member("operator", (), slot="models")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._member.close()

    def append(self, noun: Record, at_ms: int) -> None:
        self._member.commit([encode(noun, topic=MODELS, at_ms=at_ms)], {})


def promoted(line: ModelLine, digest: str) -> ModelLine:
    """With a new champion; what it was before can be had back. A canary of this release has served its end."""
    canary = None if line.canary == digest else line.canary
    previous = line.previous if line.champion == digest else line.champion or None
    return msgspec.structs.replace(
        line,
        champion=digest,
        previous=previous,
        canary=canary,
        canary_cameras=line.canary_cameras if canary else (),
        taken_back=False,
    )


def with_canary(line: ModelLine, digest: str, cameras: tuple[str, ...]) -> ModelLine:
    """With a release that looks at these cameras only. Raises BadInput where the line has no champion for the others."""
    if not line.champion:
        raise BadInput([f"line {line.line!r}: has no champion; expected one to be promoted before a canary"])
    if digest == line.champion:
        raise BadInput([f"line {line.line!r}: {digest[:12]} is its champion; expected another release as canary"])
    return msgspec.structs.replace(line, canary=digest, canary_cameras=cameras)


def without_canary(line: ModelLine) -> ModelLine:
    """With the champion for every camera."""
    return msgspec.structs.replace(line, canary=None, canary_cameras=())


def rolled_back(line: ModelLine) -> ModelLine:
    """As before the last promotion, and without a canary. Raises BadInput where there is nothing to go back to."""
    if line.previous is None:
        raise BadInput(
            [
                f"line {line.line!r}: nothing was promoted before {line.champion[:12] or 'anything'}; expected a promotion to take back"
            ]
        )
    return msgspec.structs.replace(
        line, champion=line.previous, previous=line.champion, canary=None, canary_cameras=(), taken_back=True
    )
