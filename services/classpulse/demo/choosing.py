"""The demo, what looks at how much: where this machine cannot keep up with the bundled model, the lighter one, and at fewer pictures."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from classpulse.demo.bundled import DETECT_WORKERS, MOST_FPS, Lesson
from classpulse.demo.route import own_variables
from classpulse.detect.devices import device_here
from classpulse.detect.probe import probe
from classpulse.settings import Settings
from gesturedet.card import PACKAGED

LIGHTER = "classroom-640"
REST_CORES, BROKER_CORES, RAY_CORES = 0.5, 0.3, 0.4
"""About what else there is to do than to look takes of the cores, with three lessons; with a broker beside it, and with Ray."""
LEAST_CORES = 0.25
LEAST_FPS = 2.0


@dataclass(frozen=True)
class Choice:
    """A model by name, empty for what the settings say; the most pictures a second of each lesson; and in words why. As usual: no words."""

    model: str = ""
    fps: float = MOST_FPS
    why: str = ""


def pictures_per_s(settings: Settings) -> float | None:
    """What one worker sees. None with a GPU, which is fast enough for any model, and where nothing loads: the route says why."""
    if device_here() != "cpu":
        return None
    return next(iter(probe(settings, "cpu", settings.runtime_threads).pictures_per_s), None)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choice(
    environ: Mapping[str, str],
    lessons: Sequence[Lesson],
    *,
    broker: bool = False,
    measure: Callable[[Settings], float | None] = pictures_per_s,
    count: Callable[[], int] = cores,
) -> Choice:
    """What these lessons can be watched with as they happen: a lighter model, unless one is named; then fewer pictures.

    `broker`: whether one runs here beside the route. Raises BadInput for variables that are no settings.
    """
    settings = Settings.from_env(own_variables(environ), {"detect_workers": DETECT_WORKERS})
    rest = REST_CORES + broker * BROKER_CORES + (settings.runner == "ray") * RAY_CORES
    share = min(settings.detect_workers, max(LEAST_CORES, count() - rest) / settings.runtime_threads)
    needed = sum(lesson.fps for lesson in lessons)
    rate = measure(settings)
    if rate is None or rate * share >= needed:
        return Choice()
    named = settings.model or PACKAGED
    why = (
        f"with {named.name} this machine looks at {rate * share:.1f} pictures a second beside the rest of its work, and the lessons have "
        f"{needed:.1f}: playing"
    )
    model = ""
    if settings.model is None:
        model, rate = LIGHTER, measure(replace(settings, model=Path(LIGHTER))) or rate
        why += f" with {LIGHTER}, which sees fewer of the far rows (CLASSPULSE_MODEL={PACKAGED.name} takes the other)"
    fps = max(LEAST_FPS, float(rate * share // len(lessons)))
    if fps >= MOST_FPS:
        return Choice(model, why=why)
    return Choice(model, fps, f"{why}{' and' if model else ''} at {fps:g} pictures a second of each lesson")
