"""New labelled pictures → a champion, step by step: each is shown, written down, gone on from, and can be refused.

pictures → train → release → gate → candidate, and when a person says so → canary → champion.
"""

import importlib.metadata
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from classpulse.bus.base import Bus
from classpulse.clock import Clock
from classpulse.errors import BadInput, Fatal
from classpulse.lines import Lines, promoted, with_canary, without_canary
from classpulse.refresh.folder import REFUSED, Folder, Plan
from classpulse.refresh.live import Reports, Watch
from classpulse.refresh.material import Pictures, described_pictures, draw, folders_of, read, recipe_for
from classpulse.refresh.trial import clips_of, tried, with_exams
from classpulse.registry import put
from classpulse.train.job import described_job
from classpulse.train.on_ray import Group, train
from gesturedet.card import Release, load_release
from gesturedet.engine import BEST
from gesturedet.export import write_release
from gesturedet.releasing import Material, Precision, draft_releases

PICTURES, TRAIN, RELEASE, GATE, CANDIDATE, CANARY, CHAMPION = STEPS = (
    "pictures", "train", "release", "gate", "candidate", "canary", "champion",
)  # fmt: skip
TRAINED, CANDIDATES, CHAMPION_FOLDER, BEGINNING_FOLDER = "trained", "candidates", "champion-was", "begins-with"
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
LOOK_AGAIN_MS = 1_000
SAVE_EVERY = 50
SHOWN = 12

Tell = Callable[[str], None]


class Refused(Fatal):
    """A step came to the end that the candidate is not to look."""


@dataclass(frozen=True)
class Live:
    """Where a candidate is made known, tried and promoted. `reports`: what detect last said of each camera."""

    bus: Bus
    clock: Clock
    registry: str
    line: str
    reports: Reports


@dataclass(frozen=True)
class Refresh:
    """One refresh in its folder. Every step gives what it tells, and reads what the others left on disk."""

    folder: Folder
    plan: Plan
    live: Live
    group: Group
    tell: Tell

    def run(self, *, canary: tuple[str, ...], minutes: float, promote: bool) -> None:
        """Go through the steps as far as was asked. Raises Refused, BadInput, and what a step raises."""
        self._do(PICTURES, self.pictures)
        self._do(TRAIN, self.train)
        self._do(RELEASE, self.release)
        self._do(GATE, self.gate)
        self._do(CANDIDATE, self.candidate)
        if canary or self.folder.told(CANARY):
            self._do(CANARY, lambda: self.canary(canary, minutes))
        if promote:
            self._do(CHAMPION, self.promote)

    def pictures(self) -> dict[str, Any]:
        """Draw, read, digest, and prove that no exam is trained on."""
        draw(self.plan, self.folder.path)
        return described_pictures(self._read())

    def train(self) -> dict[str, Any]:
        """Train from the champion, on Ray; what was begun goes on."""
        out = self.folder.path / TRAINED
        job = described_job(
            folders_of(self.plan, self.folder.path),
            Path(self.plan.val),
            recipe=self.plan.recipe,
            workers=self.group.workers,
            champion=str(self.folder.path / BEGINNING_FOLDER),
            epochs=self.plan.epochs,
            precision=None,
            device=self.group.device,
            save_every=SAVE_EVERY,
        )
        train(job, str(out), self.group, self.tell)
        begun = load_release(self.folder.path / BEGINNING_FOLDER)
        return {"epochs": job.recipe.epochs, "from": begun.card.digest}

    def release(self) -> dict[str, Any]:
        """Export both precisions, with scores that mean something and thresholds, from the validation pictures."""
        pictures = self._read()
        told = self.folder.told(PICTURES) or {}
        sources = {name: f"{pictures.sources[name]}; sha256 {told[name]['sha256']}" for name in ("train", "val")}
        drafts = draft_releases(
            self.folder.path / TRAINED / BEST,
            recipe_for(self.plan),
            Material(pictures.train, pictures.val, (), sources),
            self.folder.path / CANDIDATES,
            name=self._champion().card.name,
            lineage=(f"refreshed by {_ourselves()}",),
        )
        return {kind: drafted.card.digest for kind, drafted in drafts.items()}

    def gate(self) -> dict[str, Any]:
        """Exams and empty lessons, beside the champion; the candidates' cards get what they showed."""
        candidates = {kind: load_release(self.folder.path / CANDIDATES / kind) for kind in PRECISIONS}
        bare: dict[str, Release] = {
            kind: Release(msgspec.structs.replace(one.card, exams=()), one.onnx_bytes)
            for kind, one in candidates.items()
        }
        found, cards = tried(
            self._champion(), bare, self._read(), clips_of(self.plan.quiet), margin=self.plan.margin, tell=self.tell
        )
        for kind, one in cards.items():
            with_exams(one, self.folder.path / CANDIDATES / kind)
        return cast("dict[str, Any]", msgspec.to_builtins(found))

    def candidate(self) -> dict[str, Any]:
        """Make both precisions known; the one of the champion's precision is the candidate."""
        lines = Lines(self.live.bus, self.live.clock)
        digests: dict[str, Any] = {}
        for kind in PRECISIONS:
            release = put(load_release(self.folder.path / CANDIDATES / kind), self.live.registry)
            lines.register(release)
            digests[kind] = release.digest
        return {"digest": digests[self._champion().card.precision], **digests}

    def canary(self, cameras: tuple[str, ...], minutes: float) -> dict[str, Any]:
        """Let it look at these cameras for so long, and take it back where it is worse than the champion."""
        digest = self._candidate()
        lines = Lines(self.live.bus, self.live.clock)
        after = lines.change(self.live.line, lambda before: with_canary(before, digest, cameras))
        watch = Watch(digest, frozenset(cameras), self.live.clock.now_ms())
        until_ms = self.live.clock.monotonic_ms() + int(60_000 * minutes)
        while self.live.clock.monotonic_ms() < until_ms and not watch.refused():
            watch.hear(self.live.reports())
            self.live.clock.sleep_ms(LOOK_AGAIN_MS)
        worse = watch.worse()
        if worse:
            lines.change(self.live.line, without_canary, revision=after.revision)
        return {
            "cameras": list(cameras),
            "minutes": minutes,
            "looked_at": watch.seen[True],
            "revision": after.revision,
            "refused": worse,
        }

    def promote(self) -> dict[str, Any]:
        """Make it the champion, where the line is as the canary left it. Raises BadInput where it never was a canary."""
        tried_ = self.folder.told(CANARY)
        if tried_ is None:
            raise BadInput(["--promote: the candidate has looked nowhere yet; expected --canary CAMERA before"])
        digest = self._candidate()
        after = Lines(self.live.bus, self.live.clock).change(
            self.live.line, lambda before: promoted(before, digest), revision=tried_["revision"]
        )
        return {"digest": digest, "line": self.live.line, "revision": after.revision}

    def refuse(self, why: str) -> None:
        """A person refuses: no step follows, and a canary of this candidate looks no more."""
        self.folder.tell(REFUSED, {"refused": [why]})
        told = self.folder.told(CANDIDATE)
        lines = Lines(self.live.bus, self.live.clock)
        line = lines.lines().get(self.live.line)
        if told and line and line.canary == told["digest"]:
            lines.change(self.live.line, without_canary, revision=line.revision)

    def _do(self, step: str, work: Callable[[], dict[str, Any]]) -> None:
        """Do a step, or show what it gave before. Raises Refused where it is the last."""
        if by_hand := self.folder.told(REFUSED):
            raise Refused(f"refused: {by_hand['refused'][0]}")
        told, before = self.folder.told(step), True
        if told is None:
            self.tell(f"{STEPS.index(step) + 1}/{len(STEPS)} {step} …")
            told, before = work(), False
            self.folder.tell(step, told)
        self.tell(f"{STEPS.index(step) + 1}/{len(STEPS)} {step}{' (before)' if before else ''}: {summary(step, told)}")
        if refused := told.get("refused"):
            raise Refused(f"{step}: refused: " + "; ".join(refused))

    def _read(self) -> Pictures:
        return read(self.plan, self.folder.path)

    def _champion(self) -> Release:
        return load_release(self.folder.path / CHAMPION_FOLDER)

    def _candidate(self) -> str:
        told = self.folder.told(CANDIDATE) or {}
        return str(told["digest"])


def keep_release(release: Release, path: Path) -> None:
    """Lay a release beside what is made from it: a line moves on meanwhile, a refresh does not."""
    path.mkdir(parents=True, exist_ok=True)
    net = path / "net.onnx"
    net.write_bytes(release.onnx_bytes)
    write_release(path, net, release.card)
    net.unlink()


def summary(step: str, told: dict[str, Any]) -> str:
    """What a step gave, in a line."""
    match step:
        case "pictures":
            return (
                ", ".join(f"{name} {one['pictures']}" for name, one in told.items()) + "; no picture is in two of them"
            )
        case "train":
            return f"{told['epochs']} epochs from {told['from'][:SHOWN]}"
        case "release":
            return ", ".join(f"{kind} {digest[:SHOWN]}" for kind, digest in told.items())
        case "gate":
            return "; ".join([*map(_moved, told["changes"]), *map(_quiet, told["quiet"])])
        case "candidate":
            return f"{told['digest'][:SHOWN]} is registered"
        case "canary":
            return f"{told['looked_at']} pictures of {', '.join(told['cameras'])} in {told['minutes']:g} minutes"
        case _:
            return f"{told['digest'][:SHOWN]} on line {told['line']}, revision {told['revision']}"


def _moved(one: dict[str, Any]) -> str:
    figures = f"{one['before']:.3f} → {one['after']:.3f} ({one['least']:+.3f} at the worst)"
    return f"{one['exam']} {one['behaviour']} {one['precision']} {figures}"


def _quiet(one: dict[str, Any]) -> str:
    return f"empty lessons {one['precision']} {one['before']} → {one['after']} events in {one['hours']:.1f} h"


def _ourselves() -> str:
    """Version, and the commit where this runs from a checkout."""
    version = f"classpulse {importlib.metadata.version('classpulse')}"
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    except OSError:
        return version
    return f"{version}, commit {found.stdout.strip()}" if found.returncode == 0 else version
