from pathlib import Path

import msgspec
import pytest

from gesturedet.anchors import CLASSROOM_ANCHORS
from gesturedet.card import (
    WEIGHTS,
    DigestMismatch,
    digest_of,
    find_release,
    load_release,
    read_card,
    released_names,
    write_card,
)
from tests.model.gesturedet.cards import CALIBRATION, card_for

NET = b"not really a net"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(NET)
    (tmp_path / "card.json").write_bytes(write_card(card_for((192, 320), digest=digest_of(NET))))
    return tmp_path


def test_an_empty_folder_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"model\.onnx: not there, expected a folder with model\.onnx and card"):
        load_release(tmp_path)


def test_a_net_without_its_card_is_no_release(folder: Path) -> None:
    (folder / "card.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"card\.json: not there"):
        load_release(folder)


def test_a_release_loads_as_it_was_written(folder: Path) -> None:
    release = load_release(folder)
    assert release.onnx_bytes == NET
    assert release.card == card_for((192, 320), digest=digest_of(NET))
    assert release.card.anchors == CLASSROOM_ANCHORS


def test_the_digest_is_sha256() -> None:
    assert digest_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("place", [0, len(NET) // 2, len(NET) - 1])
def test_a_net_changed_by_a_byte_is_refused_with_both_digests(folder: Path, place: int) -> None:
    changed = bytearray(NET)
    changed[place] ^= 1
    (folder / "model.onnx").write_bytes(changed)
    told = rf"model\.onnx: digest expected {digest_of(NET)}, found {digest_of(bytes(changed))}"
    with pytest.raises(DigestMismatch, match=told):
        load_release(folder)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", "Input data was truncated"),
        (b"{", "Input data was truncated"),
        (b"{}", "Object missing required field `name`"),
        (b'{"digest": 5}', r"Expected `str`, got `int` - at `\$\.digest`"),
        (b'{"thresold": {}}', "Object contains unknown field `thresold`"),
    ],
)
def test_what_is_no_card_is_refused_with_its_place_and_fault(text: bytes, fault: str) -> None:
    with pytest.raises(ValueError, match=f"weights/card.json: no model card: {fault}"):
        read_card(text, origin="weights/card.json")


def test_a_card_whose_anchors_are_impossible_is_refused() -> None:
    least = f"{CLASSROOM_ANCHORS.scales[0]},".encode()
    whole = write_card(card_for((192, 320)))
    assert whole.count(least) == 1
    text = whole.replace(least, b"0.9,")
    with pytest.raises(ValueError, match=r"no model card: scales: .* are not 7 rising numbers"):
        read_card(text, origin="card.json")


@pytest.mark.parametrize(
    ("thresholds", "fault"),
    [
        ({"hand-raising": 0.5}, "thresholds: .* are not the labels in their order"),
        ({"stand-up": 0.5, "hand-raising": 0.5, "sleeping": 0.5}, "thresholds: .* are not the labels in their order"),
        ({"hand-raising": 0.5, "stand-up": 0.0, "sleeping": 0.5}, "thresholds: stand-up = 0.0 is not a score above 0"),
    ],
)
def test_a_card_needs_a_threshold_for_each_label_in_the_order_of_the_classes(
    thresholds: dict[str, float], fault: str
) -> None:
    with pytest.raises(ValueError, match=fault):
        msgspec.structs.replace(card_for((192, 320)), thresholds=thresholds)
    text = msgspec.json.decode(write_card(card_for((192, 320)))) | {"thresholds": thresholds}
    with pytest.raises(ValueError, match=fault):
        read_card(msgspec.json.encode(text), origin="card.json")


def test_a_card_without_word_of_the_unpublished_publishes_every_label() -> None:
    text = msgspec.json.decode(write_card(card_for((192, 320))))
    del text["unpublished"]
    assert read_card(msgspec.json.encode(text), origin="card.json").published == card_for((192, 320)).labels


def test_an_unpublished_label_keeps_its_class_and_is_not_among_the_published() -> None:
    card = msgspec.structs.replace(card_for((192, 320)), unpublished=("stand-up",))
    assert read_card(write_card(card), origin="card.json") == card
    assert card.labels == ("hand-raising", "stand-up", "sleeping")
    assert card.published == ("hand-raising", "sleeping")


@pytest.mark.parametrize(
    ("unpublished", "fault"),
    [
        (("adult",), r"unpublished: \['adult'\] are none of the labels"),
        (("hand-raising", "stand-up", "sleeping"), "unpublished: .* are all labels, expected one that is published"),
    ],
)
def test_only_some_of_the_labels_may_be_unpublished(unpublished: tuple[str, ...], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        msgspec.structs.replace(card_for((192, 320)), unpublished=unpublished)


def test_a_card_without_word_of_calibration_means_the_nets_own_scores() -> None:
    text = msgspec.json.decode(write_card(card_for((192, 320))))
    del text["calibration"]
    for exam in text["exams"]:
        del exam["calibration_error"]
    card = read_card(msgspec.json.encode(text), origin="card.json")
    assert card == card_for((192, 320))
    assert (card.calibration, dict(card.curves)) == (None, {})


def test_a_calibrated_card_loads_as_it_was_written() -> None:
    card = msgspec.structs.replace(card_for((192, 320)), calibration=CALIBRATION)
    assert read_card(write_card(card), origin="card.json") == card
    assert card.curves == CALIBRATION.curves


@pytest.mark.parametrize(
    ("found", "wrong", "fault"),
    [
        (
            b'"below": 4.0',
            b'"below": 0.0',
            r"below: 0.0 is not a finite slope above 0.* `\$\.calibration\.curves\[\.\.\.\]",
        ),
        (b'"above": 0.9', b'"above": -1', r"above: -1.0 is not a finite slope above 0.* `\$\.calibration\.curves"),
        (b'"there": 0.4', b'"there": 1', r"there: 1.0 is not a score between 0 and 1"),
        (b'"bend": 0.25,', b"", r"missing required field `bend` - at `\$\.calibration\.curves"),
        (b'"stand-up": {', b'"adult": {', r"calibration: \['adult'\] are none of the labels \['hand-raising', "),
    ],
)
def test_a_calibration_that_means_nothing_is_refused_by_its_key_and_value(
    found: bytes, wrong: bytes, fault: str
) -> None:
    text = write_card(msgspec.structs.replace(card_for((192, 320)), calibration=CALIBRATION))
    assert text.count(found) == 1
    with pytest.raises(ValueError, match=f"^weights/card.json: no model card: .*{fault}"):
        read_card(text.replace(found, wrong), origin="weights/card.json")


def test_every_folder_of_the_packaged_weights_is_a_release_by_its_name() -> None:
    assert "classroom" in released_names()
    assert sorted(path.name for path in WEIGHTS.iterdir()) == list(released_names())
    for name in released_names():
        assert find_release(name).card.digest
