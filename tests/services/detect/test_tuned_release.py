"""The release that the demo over Ray swaps to in `.ci/run` is another net than its parent, with a card that says so."""

from pathlib import Path

from gesturedet.card import find_release
from tests.services.tuned_release import make_tuned


def test_it_is_another_net(tmp_path: Path) -> None:
    card = make_tuned("classroom-640", tmp_path / "tuned")
    parent = find_release("classroom-640").card
    assert card.digest != parent.digest
    assert find_release(tmp_path / "tuned").card == card
    assert card.lineage[-1].endswith(parent.digest)
