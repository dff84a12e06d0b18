from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch (the train extra)")

from gesturedet.backbone import Backbone  # noqa: E402
from gesturedet.card import PACKAGED, load_release  # noqa: E402
from gesturedet.data.training_set import batches  # noqa: E402
from gesturedet.data.voc import LabelledPicture, read_split  # noqa: E402
from gesturedet.detector import GestureDet  # noqa: E402
from gesturedet.distillation import Teacher, feature_distance  # noqa: E402
from gesturedet.engine import train_one_epoch  # noqa: E402
from gesturedet.training_run import resume, start, write_checkpoint  # noqa: E402
from gesturedet.warm_start import load_released_weights  # noqa: E402
from tests.model.gesturedet.test_engine import TINY  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[LabelledPicture, ...]:
    things = {f"p{index}": [("hand-raising", (10 + 12 * index, 20, 50 + 12 * index, 80))] for index in range(8)}
    return read_split(write_voc(tmp_path / "voc", things), "train")


def port(model: GestureDet) -> None:
    """Stands for the ported weights, with others that know pictures: the release's."""
    load_released_weights(model, load_release(PACKAGED).onnx_bytes)


def column(*values: float) -> Any:
    return torch.tensor(values).reshape(1, -1, 1, 1)


def test_maps_of_which_the_teacher_says_nothing_are_no_distance_apart() -> None:
    assert float(feature_distance([column(1.0, 2.0)], [column(0.0, 0.0)])) == 0.0


def test_distances_are_as_worked_by_hand() -> None:
    # Same direction 0, at right angles 1, (3, 4) against (1, 0): cosine 3 / 5.
    assert float(feature_distance([column(2.0, 4.0)], [column(1.0, 2.0)])) == pytest.approx(0.0, abs=1e-6)
    assert float(feature_distance([column(1.0, 0.0)], [column(0.0, 7.0)])) == pytest.approx(1.0)
    assert float(feature_distance([column(3.0, 4.0)], [column(1.0, 0.0)])) == pytest.approx(0.4)
    both = feature_distance([column(3.0, 4.0), column(1.0, 0.0)], [column(1.0, 0.0), column(0.0, 7.0)])
    assert float(both) == pytest.approx(0.7), "maps count alike"


def test_a_teacher_stays_what_it_was_and_wants_no_gradient() -> None:
    backbone = Backbone()
    images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1
    teacher = Teacher(backbone)
    before = teacher(images)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(2.0)

    for one, other in zip(before, teacher.train()(images), strict=True):
        assert torch.equal(one, other)
        assert not other.requires_grad


def test_a_run_held_to_the_ported_backbone_stays_nearer_to_it(pictures: tuple[LabelledPicture, ...]) -> None:
    def apart(distillation: float) -> float:
        recipe = replace(
            TINY,
            distillation=distillation,
            learning_rate=0.1,
            epochs=5,
            augmentation=replace(TINY.augmentation, flip=0),
        )
        run = start(recipe, pictures, port=port)
        for _ in range(5):
            figures = train_one_epoch(run, batches(pictures, recipe))
        assert (figures.forgetting > 0) == (distillation > 0)
        assert figures.loss == pytest.approx(figures.classification + figures.localisation + figures.forgetting)
        original = GestureDet(recipe.net)
        port(original)
        images = next(iter(batches(pictures, recipe))).image.float() / 127.5 - 1
        with torch.no_grad():
            said = run.model.train().backbone(images)
        return float(feature_distance(said[1:], Teacher(original.backbone)(images)))

    assert apart(100.0) < 0.5 * apart(0.0)


def test_a_teacher_changes_nothing_else_of_how_a_run_begins(pictures: tuple[LabelledPicture, ...]) -> None:
    held = start(replace(TINY, distillation=1.0), pictures, port=port).model.state_dict()
    free = start(TINY, pictures, port=port).model.state_dict()

    assert [name for name in free if not torch.equal(free[name], held[name])] == []


def test_without_ported_weights_nothing_can_be_remembered(
    pictures: tuple[LabelledPicture, ...], tmp_path: Path
) -> None:
    recipe = replace(TINY, distillation=1.0)
    says = "distillation: recipe 'tiny' holds the backbone to the ported one, expected its weights"
    with pytest.raises(ValueError, match=says):
        start(recipe, pictures)
    write_checkpoint(start(recipe, pictures, port=port), tmp_path / "last.pt")
    with pytest.raises(ValueError, match=says):
        resume(recipe, tmp_path / "last.pt")
    assert resume(recipe, tmp_path / "last.pt", port=port).teacher is not None
