"""The pictures of a refresh: what trains, what chooses and what examines, and the proof that nothing is in two of them."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classpulse.errors import BadInput
from classpulse.refresh.folder import Plan
from gesturedet.data.digests import file_digests, set_digest, shared
from gesturedet.data.sources import Listed, list_in, read_listed
from gesturedet.data.voc import LabelledPicture, readable
from gesturedet.recipes import Recipe
from gesturedet.releasing import source_of
from gesturedet.training_job import described

DRAWN = "drawn"
LEAKS_SHOWN = 3
TAKEN = ("train", "val", "quiet")


@dataclass(frozen=True)
class Pictures:
    """Everything that is read, and where from. `exams` by the name that tells them apart."""

    train: tuple[LabelledPicture, ...]
    val: tuple[LabelledPicture, ...]
    exams: dict[str, tuple[LabelledPicture, ...]]
    sources: dict[str, str]

    def sets(self) -> dict[str, tuple[LabelledPicture, ...]]:
        """All of them by name."""
        return {"train": self.train, "val": self.val, **self.exams}


def recipe_for(plan: Plan) -> Recipe:
    """The recipe of a plan. Raises BadInput for a name that none has."""
    try:
        return described(plan.recipe, None, plan.epochs, None)
    except ValueError as error:
        raise BadInput([f"--recipe: {error}"]) from error


def folders_of(plan: Plan, out: Path) -> list[Path]:
    """What trains: the new pictures, those that the champion was trained with, and what is drawn."""
    return [Path(folder) for folder in (*plan.pictures, *plan.base)] + ([out / DRAWN] if plan.drawn else [])


def draw(plan: Plan, out: Path) -> None:
    """Let synthroom draw its part; it goes on where it was stopped. Raises BadInput where it cannot."""
    if not plan.drawn:
        return
    command = [sys.executable, "-m", "synthroom.cli", "pictures", str(out / DRAWN), "--split", "train"]
    ran = subprocess.run([*command, "--count", str(plan.drawn)], stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own command
    if ran.returncode:
        said = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise BadInput([f"--drawn = {plan.drawn}: {said}; expected synthroom to draw: pip install '.[synth]'"])


def read(plan: Plan, out: Path) -> Pictures:
    """Read every list. Raises BadInput naming what cannot be read."""
    labels = recipe_for(plan).labels
    trained: tuple[Listed, ...] = tuple(list_in(folder, "train") for folder in folders_of(plan, out))
    val, names = (Path(plan.val), "val"), [Path(folder).name for folder in plan.exams]
    if len({*names, *TAKEN}) < len(names) + len(TAKEN):
        raise BadInput([f"--exam = {names!r}: expected folders of different names, none of them {', '.join(TAKEN)}"])
    exams = {name: (list_in(Path(folder), "test"),) for name, folder in zip(names, plan.exams, strict=True)}
    try:
        train = read_listed(trained, labels)
        chosen = read_listed((val,), labels)
        examined = {name: read_listed(listed, labels) for name, listed in exams.items()}
        sources = {
            "train": "; ".join(_source(listed, labels) for listed in trained),
            "val": source_of(*val, chosen),
            **{name: source_of(*exams[name][0], found) for name, found in examined.items()},
        }
    except (ValueError, FileNotFoundError) as error:
        raise BadInput([f"pictures: {error}"]) from error
    return Pictures(train, chosen, examined, sources)


def described_pictures(pictures: Pictures) -> dict[str, Any]:
    """Count, digest and check. Raises BadInput for a picture that examines or chooses and also trains, or cannot be read."""
    sets = pictures.sets()
    digests = {name: file_digests(found) for name, found in sets.items()}
    if leaks := list(_leaks(digests)):
        more = f" and {len(leaks) - LEAKS_SHOWN} more" if len(leaks) > LEAKS_SHOWN else ""
        raise BadInput(
            [*leaks[:LEAKS_SHOWN], f"pictures: {len(leaks)} are in two sets{more and ','}{more}; expected each in one"]
        )
    for name in ("val", *pictures.exams):
        if bad := readable(sets[name])[1]:
            raise BadInput(
                [f"{name}: {len(bad)} pictures cannot be read, first {bad[0]!r}; expected an exam to be whole"]
            )
    return {
        name: {"pictures": len(found), "sha256": set_digest(found), "from": pictures.sources[name]}
        for name, found in sets.items()
    }


def check_shown(pictures: Pictures, published: Sequence[str], labels: Sequence[str]) -> None:
    """Raises BadInput for a behaviour that no exam shows, or that the recipe has in another place than the champion."""
    if tuple(labels[: len(published)]) != tuple(published):
        raise BadInput([f"recipe: its labels are {list(labels)}; expected the champion's first, {list(published)}"])
    shown = {int(one) for found in pictures.exams.values() for each in found for one in each.truth.class_ids}
    if absent := [name for name in published if labels.index(name) + 1 not in shown]:
        raise BadInput(
            [f"--exam: {', '.join(absent)} on none; expected each behaviour of the champion's on one at least"]
        )


def _leaks(digests: dict[str, dict[str, str]]) -> Iterator[str]:
    """What examines must not train or choose, and what chooses must not train."""
    names = list(digests)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            if name in ("train", "val"):
                for first, second in shared(digests[name], digests[other]):
                    yield f"{other}: {second} is the picture {first} of {name}"


def _source(listed: Listed, labels: tuple[str, ...]) -> str:
    return source_of(*listed, read_listed((listed,), labels))
