"""New labelled pictures → a champion, step by step: each is shown, written down, gone on from, and can be refused.

pictures → train → release → gate → candidate, and when a person says so → canary → champion.
"""

import importlib.metadata
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from classpulse.bus.base import Bus
from classpulse.clock import Clock
from classpulse.errors import BadInput, Fatal
from classpulse.lines import Lines, promoted, with_canary, without_canary
from classpulse.records import ModelLine
from classpulse.refresh.folder import CHAMPION_FOLDER, REFUSED, Folder, Plan
from classpulse.refresh.live import Reports, Watch
from classpulse.refresh.material import Pictures, check_shown, described_pictures, draw, folders_of, read, recipe_for
from classpulse.refresh.trial import clips_of, described_clips, tried
from classpulse.registry import put
from classpulse.train.job import described_job
from classpulse.train.on_ray import Group, train
from gesturedet.card import CARD_FILE, MODEL_FILE, Release, load_release, write_card
from gesturedet.data.digests import set_digest
from gesturedet.engine import BEST, SAVE_EVERY
from gesturedet.releasing import Material, Precision, draft_releases
from gesturedet.whole_files import write_both

PICTURES, TRAIN, RELEASE, GATE, CANDIDATE, CANARY, CHAMPION = STEPS = (
    "pictures", "train", "release", "gate", "candidate", "canary", "champion",
)  # fmt: skip
TRAINED, CANDIDATES, BEGINNING_FOLDER = "trained", "candidates", "begins-with"
TRYING = "canary-begun"
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
LOOK_AGAIN_MS = 1_000
SHOWN = 12

Tell = Callable[[str], None]


class Refused(Fatal):
    """A step came to the end that the candidate is not to look."""


@dataclass(frozen=True)
class Live:
    """Where a candidate is made known, tried and promoted. `reports`: what detect last said of each camera.

    `beside`: for a canary by its digest and its cameras, something that says what the champion, who looks at the same
    pictures, has against it so far (`Beside.look`).
    """

    bus: Bus
    clock: Clock
    registry: str
    line: str
    reports: Reports
    beside: Callable[[str, tuple[str, ...]], AbstractContextManager[Callable[[], str]]]


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
        begun = self.folder.told(TRYING)
        if canary or begun:
            asked = (canary, minutes) if canary or not begun else (tuple(begun["cameras"]), begun["minutes"])
            self._do(CANARY, lambda: self.canary(*asked))
        if promote:
            self._do(CHAMPION, self.promote)

    def pictures(self) -> dict[str, Any]:
        """Draw, read, digest, and prove that no exam is trained on. Raises BadInput for what would only be found out hours later."""
        draw(self.plan, self.folder.path)
        pictures, clips = read(self.plan, self.folder.path), clips_of(self.plan.quiet)
        check_shown(pictures, self._champion().card.published, recipe_for(self.plan).labels)
        return {**described_pictures(pictures), "quiet": described_clips(clips)}

    def train(self) -> dict[str, Any]:
        """Train from the champion, on Ray; what was begun goes on."""
        self._read()
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
        folders = {kind: self.folder.path / CANDIDATES / kind for kind in PRECISIONS}
        candidates: dict[str, Release] = {kind: load_release(folder) for kind, folder in folders.items()}
        found, examined = tried(
            self._champion(),
            candidates,
            self._read(),
            clips_of(self.plan.quiet),
            margin=self.plan.margin,
            tell=self.tell,
        )
        for kind, folder in folders.items():
            keep_release(examined[kind], folder)
        return cast("dict[str, Any]", msgspec.to_builtins(found))

    def candidate(self) -> dict[str, Any]:
        """Make both precisions known; the one of the champion's precision is the candidate."""
        digests: dict[str, Any] = {}
        for kind in PRECISIONS:
            release = put(load_release(self.folder.path / CANDIDATES / kind), self.live.registry)
            self._lines.register(release)
            digests[kind] = release.digest
        return {"digest": digests[self._champion().card.precision], **digests}

    def canary(self, cameras: tuple[str, ...], minutes: float) -> dict[str, Any]:
        """Let it look at these cameras for so long, and take it back where it is worse than the champion, or this ends before."""
        digest, clock, before = self._candidate(), self.live.clock, dict(self.live.reports())

        def begun(line: ModelLine) -> ModelLine:
            return with_canary(self._unmoved(line), digest, cameras)

        begun(self._line() or ModelLine(line=self.live.line, champion="", revision=0))
        self.folder.tell(TRYING, {"cameras": list(cameras), "minutes": minutes})
        after = self._lines.change(self.live.line, begun)
        watch, worse = Watch(digest, frozenset(cameras), clock.now_ms(), before), ["it was not watched to the end"]
        until_ms = clock.monotonic_ms() + int(60_000 * minutes)
        try:
            with self.live.beside(digest, cameras) as look:
                against = ""
                while clock.monotonic_ms() < until_ms and not (watch.refusals or against):
                    watch.hear(self.live.reports())
                    against = look()
                    clock.sleep_ms(LOOK_AGAIN_MS)
            worse = [against] if against else watch.worse(clock.now_ms())
        finally:
            if worse:
                self._take_back(digest)
        return {
            "cameras": list(cameras),
            "minutes": minutes,
            "looked_at": sum(watch.ours.looked_at.values()),
            "revision": after.revision,
            "refused": worse,
        }

    def promote(self) -> dict[str, Any]:
        """Make it the champion, where the line is as the canary left it. Raises BadInput where it never was a canary."""
        watched = self.folder.told(CANARY)
        if watched is None:
            raise BadInput(["--promote: the candidate has looked nowhere yet; expected --canary CAMERA before"])
        digest, line = self._candidate(), self._line()
        if line is None or line.champion != digest:  # else it was promoted, and nobody wrote it down
            line = self._lines.change(
                self.live.line, lambda before: promoted(before, digest), revision=watched["revision"]
            )
        return {"digest": digest, "line": self.live.line, "revision": line.revision}

    def refuse(self, why: str) -> None:
        """A person refuses: no step follows, and a canary of this candidate looks no more. Raises BadInput for a champion."""
        told, line = self.folder.told(CANDIDATE), self._line()
        if told and line and line.champion == told["digest"]:
            raise BadInput(
                [f"--refuse: {line.champion[:SHOWN]} is the champion; expected `classpulse models rollback`"]
            )
        self.folder.tell(REFUSED, {"refused": [why]})
        if told and line and line.canary == told["digest"]:
            self._take_back(told["digest"])

    def _unmoved(self, line: ModelLine) -> ModelLine:
        """The line, where its champion still is what the candidate was compared with. Raises BadInput where it is not."""
        if line.champion and line.champion != self.plan.champion:
            expected = f"{self.plan.champion[:SHOWN]}, which the candidate was compared with"
            raise BadInput([f"line {line.line!r}: its champion is {line.champion[:SHOWN]} now; expected {expected}"])
        if line.canary not in (None, self._candidate()):
            raise BadInput([f"line {line.line!r}: another release is its canary; expected none"])
        return line

    def _take_back(self, digest: str) -> None:
        """Only this canary: the line may have moved on."""
        self._lines.change(self.live.line, lambda line: without_canary(line) if line.canary == digest else line)

    @property
    def _lines(self) -> Lines:
        return Lines(self.live.bus, self.live.clock)

    def _line(self) -> ModelLine | None:
        return self._lines.lines().get(self.live.line)

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
        """The pictures, which are those that were proved to be apart. Raises BadInput where some were changed since."""
        pictures = read(self.plan, self.folder.path)
        told = self.folder.told(PICTURES) or {}
        changed = [name for name, found in pictures.sets().items() if set_digest(found) != told[name]["sha256"]]
        if described_clips(clips_of(self.plan.quiet)) != told["quiet"]:
            changed.append("quiet")
        if changed:
            raise BadInput(
                [f"{name}: not what it was when this refresh began; expected another --out" for name in changed]
            )
        return pictures

    def _champion(self) -> Release:
        return load_release(self.folder.path / CHAMPION_FOLDER)

    def _candidate(self) -> str:
        told = self.folder.told(CANDIDATE) or {}
        return str(told["digest"])


def keep_release(release: Release, path: Path) -> None:
    """Lay a release beside what is made from it: a line moves on meanwhile, a refresh does not."""
    write_both((path / MODEL_FILE, release.onnx_bytes), (path / CARD_FILE, write_card(release.card)))


def summary(step: str, told: dict[str, Any]) -> str:
    """What a step gave, in a line."""
    match step:
        case "pictures":
            return (
                ", ".join(f"{name} {one.get('pictures') or one['clips']}" for name, one in told.items())
                + "; no picture is in two of them"
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
