import json
from pathlib import Path

import numpy as np
import pytest

from synthroom.datacard import as_markdown, data_card, size_name
from synthroom.labels import Label
from synthroom.pictures import DataSet, Still, write_stills
from tests.support import ROOT


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"manifest\.json: not there, expected the folder of a data set"):
        data_card(tmp_path)


def test_an_empty_set_has_an_empty_card(tmp_path: Path) -> None:
    DataSet(tmp_path, "train").save()
    card = data_card(tmp_path)
    assert (card["pictures"], card["labels"]) == (0, {})
    table = as_markdown([card, {**card, "recipe": "moments of lessons, recipe 5"}])
    assert table.startswith(f"| | train, recipe {card['recipe']} | train, moments of lessons, recipe 5 |")
    assert "| pictures (rooms) | 0 (0) | 0 (0) |" in table


def test_labels_are_counted_by_class_and_size_and_difficult_ones_apart(tmp_path: Path) -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    small, large = Label("sleeping", 1, (0, 0, 5, 10), 1.0), Label("hand-raising", 2, (0, 0, 50, 30), 1.0)
    unsure = Label("hand-raising", 3, (60, 60, 90, 90), 1.0)
    still = Still(rgb, (small, large), ((60, 0, 99, 60),), 90, (unsure,), {"view": "wide", "light": "dim", "hard": 4})
    data = DataSet(tmp_path, "train")
    data.add(write_stills(tmp_path, "train", 0, 10_000_000, [still, still, still]))
    data.save()

    card = data_card(tmp_path)

    assert (card["pictures"], card["rooms"], card["hard_negatives"]) == (3, 1, 12)
    assert (card["views"], card["lights"]) == ({"wide": 3}, {"dim": 3})
    assert card["labels"] == {
        "adult": {"all": 3, "over 20 %": 3},
        "hand-raising": {"all": 3, "2 to 20 %": 3},
        "sleeping": {"all": 3, "0.5 to 2 %": 3},
    }
    assert card["difficult"] == {"hand-raising": 3}
    assert card["least_and_greatest_share_of_picture"] == [0.005, 0.15]
    assert "| hand-raising, all | 3 |" in as_markdown([json.loads(json.dumps(card))])


@pytest.mark.parametrize(("share", "name"), [(0.0005, "under 0.1 %"), (0.001, "0.1 to 0.5 %"), (0.3, "over 20 %")])
def test_sizes_are_named_by_the_share_of_the_picture(share: float, name: str) -> None:
    assert size_name(share) == name


def test_the_committed_card_is_what_was_counted() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "training_pictures.json").read_text())
    page, drawing = (ROOT / "docs" / "data-card.md").read_text(), found["drawing"]
    assert page.endswith("\n\n" + as_markdown(found["sets"]))
    assert f"takes {drawing['start_s']} s to start and then gives {drawing['pictures_per_s']} pictures a second" in page


def test_what_was_not_counted_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"split": "other", "recipe": "other-1", "pictures": [{"name": "a", "seed": 1}]}))
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(
        "<annotation><size><width>9</width><height>9</height></size></annotation>"
    )
    card = data_card(tmp_path)
    assert (card["hard_negatives"], card["views"]) == (None, {"not stated": 1})
    assert "| hard negatives | not counted |" in as_markdown([card])


def test_the_exams_page_has_what_was_counted() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "exam_pictures.json").read_text())
    assert as_markdown(found["sets"]) in (ROOT / "docs" / "exams.md").read_text()
