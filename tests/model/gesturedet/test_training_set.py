"""Pictures become examples: how often alone, how often four together, and what stands in for one that cannot be read."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch (the train extra)")

from gesturedet.data.augment import NO_AUGMENTATION  # noqa: E402
from gesturedet.data.training_set import Example, TrainingSet  # noqa: E402
from gesturedet.data.voc import LabelledPicture, read_split  # noqa: E402
from gesturedet.recipes import Recipe, product  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402


def recipe(mosaic: float) -> Recipe:
    return replace(product(), augmentation=replace(NO_AUGMENTATION, mosaic=mosaic))


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[LabelledPicture, ...]:
    things = {f"p{index}": [("sleeping", (10 + 12 * index, 20, 90 + 12 * index, 80))] for index in range(8)}
    return read_split(write_voc(tmp_path / "voc", things), "train")


def shown(pictures: tuple[LabelledPicture, ...], mosaic: float) -> list[Example]:
    shows = TrainingSet(pictures, recipe(mosaic))
    return [shows[epoch, index] for epoch in range(8) for index in range(len(pictures))]


def test_as_many_pictures_as_asked_are_mosaics(pictures: tuple[LabelledPicture, ...]) -> None:
    alone, mixed, together = (shown(pictures, share) for share in (0.0, 0.5, 1.0))

    same = sum(torch.equal(one.image, other.image) for one, other in zip(alone, mixed, strict=True))
    assert 0.3 < same / len(alone) < 0.7
    assert not any(torch.equal(one.image, other.image) for one, other in zip(alone, together, strict=True))
    positives = [sum(int((one.labels > 0).sum()) for one in each) for each in (alone, together)]
    assert positives[1] > positives[0]
    again = shown(pictures, 1.0)
    assert all(torch.equal(one.image, other.image) for one, other in zip(together, again, strict=True))


def test_only_the_picture_whose_turn_it_is_is_named_unreadable(pictures: tuple[LabelledPicture, ...]) -> None:
    pictures[5].path.unlink()

    for mosaic in (0.0, 1.0):
        told = [int(one.unreadable) for one in shown(pictures, mosaic)]
        assert told == [-1, -1, -1, -1, -1, 5, -1, -1] * 8
