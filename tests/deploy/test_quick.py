"""The quick check: what can be known of every overlay from schemas alone, in a second."""

import pytest

from tests.deploy.checks import faults
from tests.deploy.overlays import Raw, quick_faults

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy")]


def test_the_quick_check_finds_nothing(raws: tuple[Raw, ...]) -> None:
    assert raws
    assert quick_faults(raws) == []


def test_no_check_of_our_own_finds_a_fault(raws: tuple[Raw, ...]) -> None:
    assert faults([raw.document for raw in raws]) == {}
