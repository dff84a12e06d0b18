from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs torch (the train extra)")

from gesturedet.anchors import PAPER_ANCHORS  # noqa: E402
from gesturedet.card import PACKAGED, load_release  # noqa: E402
from gesturedet.checkpoint import lineage_of, read_checkpoint  # noqa: E402
from gesturedet.data.augment import NO_AUGMENTATION  # noqa: E402
from gesturedet.data.training_set import Example, batches  # noqa: E402
from gesturedet.data.voc import LabelledPicture, read_split  # noqa: E402
from gesturedet.detector import CLASSROOM, GestureDet, looking_at  # noqa: E402
from gesturedet.engine import EpochFigures, evaluate, train, train_one_epoch  # noqa: E402
from gesturedet.figures import ClassFigures, summarise  # noqa: E402
from gesturedet.journal import read_log  # noqa: E402
from gesturedet.labels import BEHAVIOURS  # noqa: E402
from gesturedet.recipes import Optimiser, Recipe  # noqa: E402
from gesturedet.schedule import freeze  # noqa: E402
from gesturedet.training_run import Run, resume, start, write_checkpoint  # noqa: E402
from gesturedet.warm_start import load_released_weights  # noqa: E402
from tests.model.gesturedet.voc_folder import write_voc  # noqa: E402

TINY = Recipe(
    name="tiny",
    net=replace(CLASSROOM, input_hw=(64, 96), anchors=load_release(PACKAGED).card.anchors),
    epochs=2,
    batch=4,
    learning_rate=0.01,
    warm_up_epochs=0.5,
    decay="cosine",
    last_rate=0.1,
    augmentation=replace(NO_AUGMENTATION, flip=0.5),
    average=0.9,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[LabelledPicture, ...]:
    things = {
        f"p{index}": [("hand-raising", (10 + 12 * index, 20, 50 + 12 * index, 80))] if index != 3 else []
        for index in range(8)
    }
    return read_split(write_voc(tmp_path / "voc", things), "train")


def weights_of(run: Run) -> dict[str, Any]:
    return {name: value.clone() for name, value in run.model.state_dict().items()}


def assert_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_fewer_pictures_than_a_batch_are_refused(pictures: tuple[LabelledPicture, ...]) -> None:
    with pytest.raises(ValueError, match="pictures: 0 do not fill one batch, expected at least 4"):
        batches((), TINY)
    with pytest.raises(ValueError, match="pictures: 3 do not fill one batch, expected at least 4"):
        batches(pictures[:3], TINY)


def test_a_batch_without_any_object_trains(tmp_path: Path) -> None:
    empty = read_split(write_voc(tmp_path, {f"e{index}": [] for index in range(4)}), "train")
    run = start(TINY, empty)

    figures = train_one_epoch(run, batches(empty, TINY))

    assert figures.positives == 0
    assert figures.localisation == 0
    assert figures.loss > 0
    assert all(bool(torch.isfinite(value).all()) for value in run.model.state_dict().values())


def test_training_lowers_the_loss(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    seen: list[EpochFigures] = []
    recipe = replace(TINY, epochs=12, learning_rate=0.05)

    train(start(recipe, pictures), pictures, tmp_path, after_epoch=lambda _run, figures, _rows: seen.append(figures))

    assert len(seen) == 12
    assert seen[-1].loss < 0.85 * seen[0].loss


def test_bf16_rounds_what_the_net_computes_and_not_what_it_keeps(pictures: tuple[LabelledPicture, ...]) -> None:
    coarse = start(replace(TINY, precision="bf16"), pictures)
    fine = start(TINY, pictures)

    rounded = train_one_epoch(coarse, batches(pictures, TINY)).loss
    exact = train_one_epoch(fine, batches(pictures, TINY)).loss

    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.02)
    assert {value.dtype for value in coarse.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_resumed_run_equals_an_uninterrupted_one(
    pictures: tuple[LabelledPicture, ...], tmp_path: Path, optimiser: Optimiser
) -> None:
    recipe = replace(TINY, optimiser=optimiser)
    whole = start(recipe, pictures)
    train(whole, pictures, tmp_path / "whole")

    class Killed(Exception):
        """Stands for a kill after the first epoch."""

    def kill(_run: Run, _figures: EpochFigures, _rows: object) -> None:
        raise Killed

    with pytest.raises(Killed):
        train(start(recipe, pictures), pictures, tmp_path / "parts", after_epoch=kill)
    second = resume(recipe, tmp_path / "parts" / "last.pt")
    assert second.epoch == 1
    train(second, pictures, tmp_path / "parts")

    assert_same(weights_of(whole), weights_of(second))
    assert whole.average is not None
    assert second.average is not None
    assert_same(whole.average.model.state_dict(), second.average.model.state_dict())


def test_a_finished_run_does_nothing_more(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    run = start(replace(TINY, epochs=1), pictures)
    run.epoch = 1
    before = weights_of(run)

    train(run, pictures, tmp_path)

    assert_same(before, weights_of(run))


def test_another_recipe_cannot_continue_a_run(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    write_checkpoint(start(TINY, pictures), tmp_path / "last.pt")

    assert resume(replace(TINY, epochs=9), tmp_path / "last.pt").epoch == 0
    with pytest.raises(
        ValueError, match=r"last\.pt: its recipe differs from 'tiny' in momentum \(0\.9, expected 0\.5\)"
    ):
        resume(replace(TINY, momentum=0.5), tmp_path / "last.pt")


def test_weights_alone_start_a_fresh_run(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    trained = start(TINY, pictures)
    train(trained, pictures, tmp_path)

    fresh = start(replace(TINY, momentum=0.5), pictures, weights=tmp_path / "last.pt")

    assert fresh.epoch == 0
    assert_same(weights_of(fresh), dict(trained.best_weights.state_dict()))


def test_a_champion_starts_a_fresh_run_that_says_what_it_said(pictures: tuple[LabelledPicture, ...]) -> None:
    released = GestureDet(TINY.net)
    load_released_weights(released, load_release(PACKAGED).onnx_bytes)
    fresh = start(TINY, pictures, champion=PACKAGED)
    shown = torch.rand(2, 3, *TINY.net.input_hw) * 2 - 1

    with torch.inference_mode():
        expected, found = released.eval()(shown), fresh.best_weights.eval()(shown)

    assert fresh.epoch == 0
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
    stem = fresh.model.backbone.stem.norm
    assert float(stem.running_var.std()) > 0.0, "its batch norm knows these pictures"


def test_what_a_run_began_with_goes_with_its_checkpoint(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    card = load_release(PACKAGED).card
    write_checkpoint(start(TINY, pictures, champion=PACKAGED), tmp_path / "last.pt")

    expected = (*card.lineage, f"{card.name} {card.digest} ({card.precision})")
    assert resume(TINY, tmp_path / "last.pt").lineage == expected
    assert lineage_of(read_checkpoint(tmp_path / "last.pt")) == expected
    assert start(TINY, pictures, weights=tmp_path / "last.pt").lineage == expected
    write_checkpoint(start(TINY, pictures), tmp_path / "bare.pt")
    assert lineage_of(read_checkpoint(tmp_path / "bare.pt")) == ()


def test_a_champion_begins_a_net_that_knows_one_class_more_or_looks_at_another_size(
    pictures: tuple[LabelledPicture, ...],
) -> None:
    adults = replace(TINY, labels=(*BEHAVIOURS, "adult"), net=replace(TINY.net, num_classes=5))
    larger = replace(TINY, net=looking_at(replace(TINY.net, input_hw=load_release(PACKAGED).card.input_hw), (96, 160)))
    shown = torch.rand(2, 3, 96, 160) * 2 - 1

    with torch.inference_mode():
        plain, more, large = (
            start(recipe, pictures, champion=PACKAGED).best_weights.eval()(shown) for recipe in (TINY, adults, larger)
        )

    torch.testing.assert_close(more[0][..., :4], plain[0], atol=1e-3, rtol=1e-3)
    assert float(more[0][..., 4].abs().max()) < 0.1 * float(plain[0].abs().max()), "the new class starts quiet"
    torch.testing.assert_close(large[0], plain[0], atol=1e-2, rtol=1e-2)


def test_a_champion_with_other_default_boxes_gives_all_but_its_heads(pictures: tuple[LabelledPicture, ...]) -> None:
    other = replace(TINY, net=replace(TINY.net, anchors=PAPER_ANCHORS))
    same, changed = (start(recipe, pictures, champion=PACKAGED) for recipe in (TINY, other))
    shown = torch.rand(2, 3, *TINY.net.input_hw) * 2 - 1

    with torch.inference_mode():
        maps = [run.best_weights.eval().backbone(shown) for run in (same, changed)]
        said = [run.best_weights.read(*one)[0] for run, one in zip((same, changed), maps, strict=True)]

    for one, two in zip(*maps, strict=True):
        torch.testing.assert_close(one, two, atol=1e-3, rtol=1e-3)
    assert float(said[1].abs().max()) < 0.5 * float(said[0].abs().max()), "fresh heads are quiet"
    assert [run.lineage[-1].endswith(", without its heads") for run in (same, changed)] == [False, True]


def test_a_champion_of_other_classes_and_two_beginnings_are_refused(
    pictures: tuple[LabelledPicture, ...], tmp_path: Path
) -> None:
    strangers = replace(TINY, labels=("cat", "dog", "cow"))
    with pytest.raises(
        ValueError, match=r"champion: its labels are .*'hand-raising'.*, expected \('cat', 'dog', 'cow'\)"
    ):
        start(strangers, pictures, champion=PACKAGED)
    with pytest.raises(ValueError, match=r"weights '.*last.pt' and champion '.*': expected one of them at most"):
        start(TINY, pictures, champion=PACKAGED, weights=tmp_path / "last.pt")


def test_weights_of_another_net_are_refused(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    write_checkpoint(start(TINY, pictures), tmp_path / "last.pt")
    other = replace(TINY, net=replace(TINY.net, anchors=PAPER_ANCHORS))

    with pytest.raises(
        ValueError, match=r"checkpoint: .*last\.pt: its net differs from recipe 'tiny' in anchors .*, expected the same"
    ):
        start(other, pictures, weights=tmp_path / "last.pt")


def test_an_evaluated_net_is_judged_on_every_picture(pictures: tuple[LabelledPicture, ...]) -> None:
    judged = evaluate(start(TINY, pictures).best_weights, pictures)

    assert [len(one.truth_class_ids) for one in judged] == [1, 1, 1, 0, 1, 1, 1, 1]
    assert all(one.scores.shape == one.class_ids.shape == one.boxes_xyxy.shape[:1] for one in judged)
    assert evaluate(start(TINY, pictures).best_weights, ()) == []


def test_a_missing_or_broken_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    torch.save({"weights": 1}, tmp_path / "other.pt")

    with pytest.raises(FileNotFoundError, match=r"checkpoint: .*absent\.pt is no file"):
        read_checkpoint(tmp_path / "absent.pt")
    with pytest.raises(ValueError, match=r"checkpoint: .*broken\.pt cannot be read"):
        read_checkpoint(tmp_path / "broken.pt")
    with pytest.raises(ValueError, match=r"checkpoint: .*other\.pt holds no training run, expected keys recipe"):
        read_checkpoint(tmp_path / "other.pt")


def test_frozen_blocks_keep_weights_and_statistics(pictures: tuple[LabelledPicture, ...]) -> None:
    recipe = replace(TINY, frozen_blocks=8)
    run = start(recipe, pictures)
    before = weights_of(run)

    train_one_epoch(run, batches(pictures, recipe))

    after = weights_of(run)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [
        name for name in changed if name.startswith(("backbone.stem", *(f"backbone.blocks.{i}." for i in range(8))))
    ]
    assert any(name.startswith("backbone.blocks.8.") and name.endswith("weight") for name in changed)
    assert any(name.startswith("backbone.blocks.8.") and name.endswith("running_mean") for name in changed)


def test_more_frozen_blocks_than_there_are_are_refused(pictures: tuple[LabelledPicture, ...]) -> None:
    with pytest.raises(ValueError, match="frozen_blocks: 99 is more than the backbone's 17 blocks"):
        freeze(start(TINY, pictures).model, 99)


def test_a_loss_that_is_no_number_stops_the_run(pictures: tuple[LabelledPicture, ...]) -> None:
    run = start(TINY, pictures)
    with torch.no_grad():
        next(iter(run.model.parameters())).fill_(float("nan"))

    with pytest.raises(
        FloatingPointError, match=r"loss: nan in epoch 0, step 0, rate .*: lower the rate; last.pt holds"
    ):
        train_one_epoch(run, batches(pictures, TINY))


def test_a_gradient_that_is_no_number_touches_no_weight(pictures: tuple[LabelledPicture, ...]) -> None:
    run = start(TINY, pictures)
    before = weights_of(run)
    run.model.class_heads.levels[0].point.weight.register_hook(lambda gradient: gradient * float("inf"))

    with pytest.raises(FloatingPointError, match=r"gradient: (nan|inf) in epoch 0, step 0"):
        train_one_epoch(run, batches(pictures, TINY))

    parameters = dict(run.model.named_parameters())
    assert [name for name in parameters if not torch.equal(parameters[name], before[name])] == []


def test_the_last_good_checkpoint_survives_a_loss_that_is_no_number(
    pictures: tuple[LabelledPicture, ...], tmp_path: Path
) -> None:
    def spoil(_run: Run, _figures: EpochFigures, _rows: object) -> None:
        with torch.no_grad():
            next(iter(run.model.parameters())).fill_(float("inf"))

    run = start(TINY, pictures)
    with pytest.raises(FloatingPointError, match="in epoch 1, step 0"):
        train(run, pictures, tmp_path, after_epoch=spoil, save_every=1)

    kept = resume(TINY, tmp_path / "last.pt")
    assert (kept.epoch, kept.step) == (1, 0)
    assert all(bool(torch.isfinite(value).all()) for value in kept.model.state_dict().values())


def test_damaged_pictures_are_replaced_named_and_counted_once(
    pictures: tuple[LabelledPicture, ...], tmp_path: Path
) -> None:
    pictures[2].path.write_bytes(pictures[2].path.read_bytes()[:300])
    pictures[3].path.unlink()
    seen: list[EpochFigures] = []

    train(
        start(TINY, pictures), pictures, tmp_path / "run", after_epoch=lambda _run, figures, _rows: seen.append(figures)
    )

    assert [figures.unreadable for figures in seen] == [("p2", "p3")] * 2
    assert [line["unreadable"] for line in read_log(tmp_path / "run" / "log.jsonl") if "epochs" in line] == [
        ["p2", "p3"]
    ] * 2


def test_pictures_of_which_none_can_be_read_are_refused(pictures: tuple[LabelledPicture, ...]) -> None:
    for picture in pictures:
        picture.path.write_bytes(b"")

    with pytest.raises(ValueError, match=r"pictures: none of 8 can be read, the last because .*p\d\.jpg: 0 bytes"):
        start(TINY, pictures, champion=PACKAGED)


def test_the_best_checkpoint_is_of_the_best_epoch(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    def sit_exam(run: Run) -> tuple[ClassFigures, ...]:
        value = {1: 0.2, 2: 0.6, 3: 0.6, 4: 0.1}[run.epoch]
        return tuple(replace(row, ap50=value) for row in summarise([])[:1])

    train(start(replace(TINY, epochs=2), pictures), pictures, tmp_path, sit_exam=sit_exam)
    train(resume(replace(TINY, epochs=4), tmp_path / "last.pt"), pictures, tmp_path, sit_exam=sit_exam)

    assert read_checkpoint(tmp_path / "best.pt")["epoch"] == 2
    told = [line["val"]["map50"] for line in read_log(tmp_path / "log.jsonl") if "epochs" in line]
    assert told == [0.2, 0.6, 0.6, 0.1]


def test_ported_weights_settle_their_statistics_without_changing_the_backbone(
    pictures: tuple[LabelledPicture, ...],
) -> None:
    image = torch.rand(1, 3, 64, 96) * 2 - 1
    maps: list[Any] = []

    def port(model: Any) -> None:
        maps.append(model.eval().backbone(image)[2])

    run = start(TINY, pictures, port=port)

    backbone = run.model.eval().backbone
    torch.testing.assert_close(backbone(image)[2], maps[0], rtol=1e-3, atol=1e-4)
    assert float(backbone.state_dict()["stem.norm.running_mean"].abs().max()) > 0


def test_the_progress_sees_every_batch(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def track(loader: Iterable[Example], epoch: int) -> Iterable[Example]:
        for batch in loader:
            seen.append((epoch, len(batch.image)))
            yield batch

    train(start(TINY, pictures), pictures, tmp_path, track=track)

    assert seen == [(0, 4), (0, 4), (1, 4), (1, 4)]


def test_the_next_epoch_shows_the_pictures_differently(pictures: tuple[LabelledPicture, ...], tmp_path: Path) -> None:
    seen: dict[int, list[Any]] = {0: [], 1: []}

    def track(loader: Iterable[Example], epoch: int) -> Iterable[Example]:
        for batch in loader:
            seen[epoch].append(batch.image)
            yield batch

    train(start(TINY, pictures), pictures, tmp_path, track=track)

    assert not torch.equal(torch.cat(seen[0]), torch.cat(seen[1]))
