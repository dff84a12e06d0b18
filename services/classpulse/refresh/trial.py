"""Champion and candidate sit the same exams and watch the same empty lessons; what they show is judged by the gate."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import av
import msgspec

from classpulse.aggregate.rules import DEFAULT_RULES
from classpulse.errors import BadInput
from classpulse.refresh.gate import Change, Quiet, Verdict, changes_of, verdict
from classpulse.refresh.lessons import events, seen
from classpulse.refresh.material import Pictures
from gesturedet.card import Release
from gesturedet.evaluation import JudgedPicture
from gesturedet.releasing import examined, look

CHAMPION = "champion"
ROOM, CAMERA = "gate/lessons/room", "gate/lessons/room/front"
CLIPS = "*.mp4"
MS_PER_HOUR = 3_600_000


def tried(
    champion: Release,
    candidates: Mapping[str, Release],
    pictures: Pictures,
    clips: Sequence[Path],
    *,
    margin: float,
    tell: Callable[[str], None],
) -> tuple[Verdict, dict[str, Release]]:
    """Let all of them look, and judge; gives the candidates with the figures of these exams on their cards, too."""
    everyone = {CHAMPION: champion, **candidates}
    changes: list[Change] = []
    cards = {name: msgspec.structs.replace(one.card, exams=()) for name, one in candidates.items()}
    for exam, shown in pictures.exams.items():
        looks: dict[str, Sequence[JudgedPicture]] = {}
        for name, release in everyone.items():
            tell(f"{exam}: {len(shown)} pictures, {name}")
            looks[name] = look(release, shown)
        for name in candidates:
            changes += changes_of(exam, name, looks[CHAMPION], looks[name], _classes(champion, candidates[name]))
            told = examined(cards[name], pictures.sources[exam], looks[name])
            cards[name] = msgspec.structs.replace(cards[name], exams=(*cards[name].exams, told))
    counted = {}
    for name, release in everyone.items():
        tell(f"{len(clips)} empty lessons, {name}")
        counted[name] = quiet_events(clips, release)
    quiet = [
        Quiet(precision=name, hours=counted[name][1], before=counted[CHAMPION][0], after=counted[name][0])
        for name in candidates
    ]
    result = verdict(changes, quiet, champion.card.published, margin=margin)
    return result, {name: Release(cards[name], candidates[name].onnx_bytes) for name in candidates}


def clips_of(paths: Sequence[str]) -> list[Path]:
    """Every clip: files, and those of folders. Raises BadInput where there is none."""
    found = [clip for path in map(Path, paths) for clip in (sorted(path.glob(CLIPS)) if path.is_dir() else [path])]
    absent = [str(clip) for clip in found if not clip.is_file()]
    if absent or not found:
        raise BadInput([f"--quiet = {(absent or list(paths))!r}: no clips; expected files, or folders with {CLIPS}"])
    return found


def described_clips(clips: Sequence[Path]) -> dict[str, Any]:
    """Count and digest. Raises BadInput for a file that is no clip."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(hashlib.sha256(clip.read_bytes()).digest())
        try:
            with av.open(str(clip)) as container:
                next(container.decode(video=0))
        except (av.FFmpegError, StopIteration, IndexError) as error:
            raise BadInput([f"--quiet: {clip}: {error or 'no picture in it'}; expected a clip"]) from error
    return {"clips": len(clips), "sha256": digest.hexdigest()}


def quiet_events(clips: Sequence[Path], release: Release) -> tuple[int, float]:
    """How many events a release gives where nothing happens, by the default rules, and in how many hours."""
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        each = list(pool.map(_quiet_events, clips, repeat(release)))
    return sum(count for count, _ in each), round(sum(ms for _, ms in each) / MS_PER_HOUR, 4)


def _quiet_events(clip: Path, release: Release) -> tuple[int, int]:
    with av.open(str(clip)) as container:
        fps = float(container.streams.video[0].average_rate or 0) or 1.0
    frames = seen(clip, release, CAMERA, fps)
    found = events(frames, ROOM, DEFAULT_RULES)
    return sum(len(spans) for spans in found.values()), len(frames) * frames[0].interval_ms


def _classes(champion: Release, candidate: Release) -> dict[str, tuple[int, int]]:
    """Each behaviour that the champion publishes, as the class that it is in each of the two nets: `check_shown` saw to it."""
    one, other = champion.card.labels, candidate.card.labels
    return {name: (one.index(name) + 1, other.index(name) + 1) for name in champion.card.published}
