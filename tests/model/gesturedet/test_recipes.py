from dataclasses import replace
from math import prod

import pytest

pytest.importorskip("torch", reason="recipes name a net (the train extra)")

from gesturedet.anchors import anchors_cxcywh, feature_sizes_hw
from gesturedet.detector import CLASSROOM, PAPER
from gesturedet.labels import BEHAVIOURS
from gesturedet.loss import LossConfig
from gesturedet.recipes import (
    RECIPES,
    ablation,
    paper,
    product,
    product_960,
    product_adult,
    recipe_differences,
    recipe_of,
    voc,
    with_labels,
)


def test_recipes_are_found_by_name() -> None:
    assert recipe_of("paper") == paper()
    assert paper().net.input_hw == (300, 300)
    assert (paper().batch, paper().learning_rate, paper().momentum, paper().weight_decay) == (64, 0.002, 0.9, 1e-4)
    assert paper().loss == LossConfig(batch_attention=True, alpha=0.5, beta=0.5, negatives_per_positive=3)
    assert product().net.input_hw == (352, 640)
    assert [recipe_of(name).name for name in RECIPES] == list(RECIPES)
    with pytest.raises(ValueError, match="recipe: 'papers' is none of paper, product"):
        recipe_of("papers")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("product_300", ["net", "augmentation"]),
        ("product_960", ["net", "augmentation"]),
        ("product_adult", ["net", "labels"]),
        ("product_distilled", ["distillation"]),
        ("product_mixed", ["augmentation"]),
        ("product_unfrozen", ["frozen_blocks"]),
    ],
)
def test_a_recipe_differs_from_the_product_in_what_it_says(name: str, changed: list[str]) -> None:
    differences = recipe_differences(product(), recipe_of(name))

    assert [line.split(":")[0] for line in differences] == ["name", *changed]


def test_a_larger_input_keeps_the_default_boxes_in_pixels() -> None:
    net, input_hw = product().net, (352, 640)

    assert net == replace(CLASSROOM, input_hw=input_hw, anchors=net.anchors)
    finest = prod(feature_sizes_hw(input_hw)[0]) * net.anchors.per_cell
    for place in (0, finest):  # the first box of the first two levels
        here = anchors_cxcywh(input_hw, net.anchors)[place, 2:] * input_hw[::-1]
        there_at = place and prod(feature_sizes_hw((288, 512))[0]) * net.anchors.per_cell
        there = anchors_cxcywh((288, 512), CLASSROOM.anchors)[there_at, 2:] * (512, 288)
        assert here.tolist() == pytest.approx(there.tolist(), rel=1e-5)
    assert [(height % 2, width % 2) for height, width in feature_sizes_hw(input_hw)[:2]] == [(0, 0)] * 2


def test_an_input_of_540_lines_keeps_the_default_boxes_in_the_picture() -> None:
    net, coarser = product_960().net, product().net

    assert net == replace(coarser, input_hw=(544, 960))
    first, first_of_coarser = (anchors_cxcywh(one.input_hw, one.anchors)[0, 3] for one in (net, coarser))
    assert first == first_of_coarser
    assert feature_sizes_hw(net.input_hw)[:3] == ((68, 120), (34, 60), (17, 30)), "whole cells"


def test_the_auxiliary_class_comes_behind_the_behaviours() -> None:
    assert product_adult().labels == (*BEHAVIOURS, "adult")
    assert product_adult().net == replace(product().net, num_classes=5)


def test_the_ablation_has_the_rows_of_the_papers_table() -> None:
    rows = ablation(product())
    switches = {
        row: [
            key
            for key, on in (
                ("fusion", recipe.net.fusion),
                ("batch", recipe.loss.batch_attention),
                ("channel", recipe.net.channel_attention),
                ("spatial", recipe.net.spatial_attention),
            )
            if on
        ]
        for row, recipe in rows.items()
    }

    assert switches == {
        "baseline": [],
        "+ fusion": ["fusion"],
        "+ batch": ["fusion", "batch"],
        "+ channel": ["fusion", "channel"],
        "+ spatial": ["fusion", "spatial"],
        "all": ["fusion", "batch", "channel", "spatial"],
    }
    assert replace(rows["all"], name="product") == product()
    assert {line.split(":")[0] for row in rows.values() for line in recipe_differences(rows["all"], row)} == {
        "name",
        "net",
        "loss",
    }


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ((), "labels: '' is not a list of different names"),
        (("a", "b", "a"), "labels: 'a, b, a' is not a list of different names"),
        (("a", ""), "labels: 'a, ' is not a list of different names"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        with_labels(voc(), labels)


def test_voc_has_twenty_classes_and_gives_way_to_others() -> None:
    assert voc().net == replace(PAPER, num_classes=21)
    assert (len(voc().labels), voc().labels[:2], voc().labels[-1]) == (20, ("aeroplane", "bicycle"), "tvmonitor")
    assert list(voc().labels) == sorted(voc().labels)
    assert [line.split(":")[0] for line in recipe_differences(paper(), voc())] == ["name", "net", "epochs", "labels"]
    assert with_labels(voc(), ("WBC", "RBC")).net.num_classes == 3


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("epochs", 0, "epochs: 0 is not above 0"),
        ("learning_rate", -0.1, "learning_rate: -0.1 is not above 0"),
        ("momentum", 1.0, r"momentum: 1.0 is not in 0\.\.1, 1 excluded"),
        ("distillation", -1.0, "distillation: -1.0 is below 0"),
        ("labels", ("a", "b"), "labels: 2 and background do not fit the net's num_classes, 4"),
    ],
)
def test_an_impossible_recipe_is_refused(key: str, value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(product(), **{key: value})  # type: ignore[arg-type]
