"""What is carried to a GPU machine, and a training there that is broken off and goes on; all of it on a CPU."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="what is carried is for training (the train extra)")
pytest.importorskip("matplotlib", reason="curves are drawn with matplotlib (the train extra)")

from benchmarks.gpu.packing import MOST_BYTES, Shrink, pack, scaled, unpack  # noqa: E402
from benchmarks.gpu.training import bring_out, train_piece  # noqa: E402
from trained_rows import OutOfTime  # noqa: E402

from gesturedet.backbone import Backbone  # noqa: E402
from gesturedet.checkpoint import read_checkpoint  # noqa: E402
from gesturedet.data.sources import Sources, read_listed  # noqa: E402
from gesturedet.data.training_set import Example  # noqa: E402
from gesturedet.data.voc import read_pixels  # noqa: E402
from gesturedet.labels import BEHAVIOURS  # noqa: E402
from gesturedet.parallel import Crew  # noqa: E402
from gesturedet.port import PACKAGE, _bricks  # noqa: E402
from gesturedet.recipes import Recipe, recipe_of  # noqa: E402
from tests.model.gesturedet.voc_folder import annotation_xml, object_xml, write_voc  # noqa: E402

pytestmark = pytest.mark.torch

PUPIL = ("sleeping", (41, 31, 120, 90))


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A file as `fetch_coco_backbone` makes it, with other numbers in it."""
    random, arrays = np.random.default_rng(0), dict[str, Any]()
    for layer, brick, depthwise in _bricks(Backbone()):
        outputs, inputs, height, width = brick.conv.weight.shape
        kernel = random.normal(0, (inputs * height * width) ** -0.5, (outputs, inputs, height, width)).astype(
            np.float32
        )
        arrays[f"{layer}/BatchNorm/batchnorm/sub"] = random.normal(1, 0.1, outputs).astype(np.float32)
        if depthwise:
            arrays[f"{layer}/depthwise_weights"] = kernel.transpose(2, 3, 0, 1)
            arrays[f"{layer}/BatchNorm/batchnorm/mul"] = np.ones(outputs, np.float32)
        else:
            arrays[f"{layer}/Conv2D/merged_input"] = kernel.transpose(2, 3, 1, 0)
    path = tmp_path / "coco_mobilenet_v2.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """Rooms of which a list of four trains, and two each that are validated and examined with."""
    rooms = tmp_path / "rooms"
    write_voc(rooms, {f"t{number}": [PUPIL] for number in range(6)})
    (rooms / "ImageSets" / "Main" / "short.txt").write_text("t3\nt0\nt1\nt5\n")
    told = {"pictures": [{"name": f"t{number}", "seed": 70 + number // 3} for number in range(6)]}
    (rooms / "manifest.json").write_text(json.dumps(told))
    write_voc(rooms, {"v0": [PUPIL], "v1": []}, split="val")
    exam = write_voc(tmp_path / "exam", {"e0": [PUPIL], "e1": [PUPIL]}, split="test", size_hw=(180, 320))
    return Sources(((rooms, "short"),), ((rooms, "val"),), ((exam, "test"),))


def test_only_listed_pictures_are_carried_with_their_rooms_and_what_training_begins_with(
    tmp_path: Path, sources: Sources, coco: Path
) -> None:
    size = pack(sources, tmp_path / "some.tar", coco=coco, commit="0123456789ab")
    carried = unpack(tmp_path / "some.tar", tmp_path / "far")

    assert size == (tmp_path / "some.tar").stat().st_size
    assert [(folder.name, split) for folder, split in carried.sources.train] == [("rooms", "short")]
    assert [(picture.name, picture.group) for picture in read_listed(carried.sources.train, BEHAVIOURS)] == [
        ("t3", "71"), ("t0", "70"), ("t1", "70"), ("t5", "71"),
    ]  # fmt: skip
    assert sorted(path.stem for path in carried.folder.rglob("*.jpg")) == [
        "e0", "e1", "t0", "t1", "t3", "t5", "v0", "v1",
    ]  # fmt: skip
    assert carried.coco.read_bytes() == coco.read_bytes()
    assert (carried.champion, carried.commit, carried.shrink) == (None, "0123456789ab", Shrink())
    assert unpack(tmp_path / "some.tar", tmp_path / "far") == carried, "once unpacked it is taken as it is"


def test_a_champion_is_carried_too(tmp_path: Path, sources: Sources, coco: Path) -> None:
    champion = tmp_path / "release"
    champion.mkdir()
    for name in ("model.onnx", "card.json"):
        (champion / name).write_text(name)
    pack(sources, tmp_path / "some.tar", coco=coco, champion=champion, commit="")
    found = unpack(tmp_path / "some.tar", tmp_path / "far").champion
    assert found is not None
    assert {path.name: path.read_text() for path in found.iterdir()} == {
        name: name for name in ("model.onnx", "card.json")
    }


def test_smaller_pictures_keep_their_boxes_as_shares_of_the_picture(
    tmp_path: Path, sources: Sources, coco: Path
) -> None:
    pack(sources, tmp_path / "some.tar", coco=coco, shrink=Shrink(width=80, quality=90), commit="")
    carried = unpack(tmp_path / "some.tar", tmp_path / "far")
    for use in ("train", "val", "test"):
        before, after = (read_listed(getattr(found, use), BEHAVIOURS) for found in (sources, carried.sources))
        for one, other in zip(before, after, strict=True):
            assert (one.name, one.truth.class_ids.tolist()) == (other.name, other.truth.class_ids.tolist())
            assert other.size_hw == read_pixels(other).shape[:2] == (45, 80)
            np.testing.assert_allclose(other.truth.boxes_xyxy, one.truth.boxes_xyxy, atol=0.01 / 45)


def test_boxes_are_scaled_from_the_edges_of_their_pixels() -> None:
    # Columns 41 to 120, counted from 1, are 40 to 120 in edges: at half size 20 to 60, so columns 21 to 60.
    halved = scaled(annotation_xml("a", (90, 160), object_xml(*PUPIL)).encode(), 0.5).decode()
    box = "<xmin>21.00</xmin><ymin>16.00</ymin><xmax>60.00</xmax><ymax>45.00</ymax>"
    assert f"<bndbox>{box}</bndbox>" in halved
    assert "<width>80</width><height>45</height>" in halved


def test_more_than_60_mib_are_refused_and_nothing_is_left(tmp_path: Path, sources: Sources, coco: Path) -> None:
    with coco.open("ab") as file:
        file.truncate(MOST_BYTES)
    with pytest.raises(ValueError, match=r"some\.tar: 60\.\d MiB, expected at most 60; lower --width or --quality"):
        pack(sources, tmp_path / "some.tar", coco=coco, commit="")
    assert not list(tmp_path.glob("some.*"))


def test_two_folders_of_one_name_are_refused(tmp_path: Path, sources: Sources, coco: Path) -> None:
    twice = replace(sources, train=(*sources.train, (tmp_path / "other" / "rooms", "train")))
    with pytest.raises(ValueError, match="train: folders rooms, rooms, expected different names"):
        pack(twice, tmp_path / "some.tar", coco=coco, commit="")


def stop_after(steps: int) -> Callable[[Crew], Callable[[Iterable[Example], int], Iterable[Example]]]:
    def batches(loader: Iterable[Example], _epoch: int) -> Iterator[Example]:
        for place, batch in enumerate(loader):
            if place == steps:
                raise OutOfTime
            yield batch

    return lambda _crew: batches


def small() -> Recipe:
    return replace(recipe_of("product_300"), epochs=2, batch=2, average=0.5)


def test_a_training_begins_from_the_backbone_it_was_given_is_broken_off_and_goes_on(
    tmp_path: Path, sources: Sources, coco: Path
) -> None:
    pack(sources, tmp_path / "some.tar", coco=coco, commit="")
    carried = unpack(tmp_path / "some.tar", tmp_path / "far")
    work, out = tmp_path / "work", tmp_path / "out"
    out.mkdir()

    def piece(steps: int) -> dict[str, Any]:
        told = train_piece(carried, small(), work, device="cpu", workers=0, track=stop_after(steps), save_every=1)
        bring_out(work, out)
        return told

    told = piece(0)
    assert (told["done"], told["epochs"], told["exam"]) == (False, [], None)
    assert not list(out.glob("*.pt"))
    told = piece(1)
    assert (told["done"], [one["steps"] for one in told["pieces"]]) == (False, [0, 1])
    told = piece(9)

    assert (told["done"], told["recipe"], told["epochs_of"]) == (True, "product_300", 2)
    assert [one["steps"] for one in told["pieces"]] == [0, 1, 3], "of four steps the first was not taken again"
    assert [set(line) >= {"train", "val"} for line in told["epochs"]] == [True, True]
    assert told["exam"]["pictures"] == 2
    assert {path.name for path in out.iterdir()} == {"last.pt", "best.pt", "log.jsonl", "curves.png"}

    with np.load(coco) as weights:
        kernel = weights["FeatureExtractor/MobilenetV2/Conv/Conv2D/merged_input"].transpose(3, 2, 0, 1)
    for name, kind in ((work / "last.pt", np.float32), (out / "last.pt", np.float16)):
        state = read_checkpoint(name)
        np.testing.assert_array_equal(state["model"]["backbone.stem.conv.weight"].numpy(), kernel.astype(kind))
    assert (out / "last.pt").stat().st_size < (work / "last.pt").stat().st_size / 5
    assert state["lineage"] == [f"backbone: {PACKAGE} (Apache-2.0)"]
