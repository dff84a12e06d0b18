"""Planted errors: a small fault in an overlay is refused, and by the check that is there for it."""

import re
import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import yaml
from deploy.check.programs import crds

from tests.deploy.api import Document, Refused
from tests.deploy.built import K8S, pods
from tests.deploy.checks import CHECKS, faults
from tests.deploy.overlays import NotBuilt, Raw, build, quick_faults, require_programs
from tests.deploy.place import Place
from tests.deploy.planted import MISBUILT, PLANTED, Misbuilt, Planted
from tests.deploy.rights import rights_missed

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy")]


def test_there_are_enough_of_them_and_every_check_of_our_own_is_tried() -> None:
    assert len(PLANTED) + len(MISBUILT) >= 25
    assert CHECKS.keys() <= {one.check for one in PLANTED}


@pytest.mark.parametrize("wrong", MISBUILT, ids=[one.name for one in MISBUILT])
def test_what_cannot_be_built_is_refused_by_kustomize(place_folder: Path, wrong: Misbuilt) -> None:
    (place_folder / "kustomization.yaml").write_text(wrong.words)
    with pytest.raises(NotBuilt, match=wrong.says):
        build(place_folder)


@pytest.mark.parametrize("place", ["district"], indirect=True)
@pytest.mark.parametrize("planted", PLANTED, ids=[one.name for one in PLANTED])
def test_a_planted_error_is_refused_by_the_check_that_is_there_for_it(place: Place, planted: Planted) -> None:
    check, said = first_refusal(place, planted)
    assert check == planted.check, said
    assert re.search(planted.says, said), said


@pytest.mark.parametrize("place", ["district"], indirect=True)
def test_a_key_that_is_there_twice_is_seen_because_documents_are_posted_as_they_are_written(place: Place) -> None:
    right = _find(place.raws, "PodDisruptionBudget aggregate").text
    twice = right.replace("  maxUnavailable: 1\n", "  maxUnavailable: 1\n  maxUnavailable: 1\n")

    assert quick_faults([Raw(twice)])
    with pytest.raises(Refused, match='"maxUnavailable" already set in map'):
        place.api.apply(twice, dry=True)


@pytest.fixture
def place_folder(tmp_path: Path) -> Path:
    """An empty overlay beside the others, in a copy of them all."""
    require_programs()
    shutil.copytree(K8S, tmp_path / "k8s")
    folder = tmp_path / "k8s" / "overlays" / "wrong"
    folder.mkdir()
    return folder


def first_refusal(place: Place, planted: Planted) -> tuple[str, str]:
    """The first check that refuses an error, in the order in which a person meets them, and its words."""
    right = _find(place.raws, planted.document)
    wrong = Raw(yaml.safe_dump(planted.in_document(right.document), sort_keys=False))
    if quick := quick_faults([wrong]):
        return "kubeconform", "; ".join(quick)
    # A copy beside what it was made of, where the error is that there are two.
    others = [
        raw.document
        for raw in place.raws
        if raw is not right or wrong.document["metadata"] != right.document["metadata"]
    ]
    for name, said in faults([*others, wrong.document]).items():
        return name, "; ".join(said)
    try:
        place.api.apply(wrong.text, dry=True)
    except Refused as refused:
        return _who(refused), str(refused)
    if wrong.document["kind"] == "Role":
        return "rights", _tried_rights(place, right, wrong)
    return _tried_pods(place, wrong.document)


def _tried_rights(place: Place, right: Raw, wrong: Raw) -> str:
    """What accounts may with the wrong role, which the right one follows at once."""
    place.api.apply(wrong.text)
    try:
        return "; ".join(rights_missed(place))
    finally:
        place.api.apply(right.text)


def _tried_pods(place: Place, document: Document) -> tuple[str, str]:
    """What becomes of the pods that a document describes."""
    for pod in pods((document,)):
        try:
            name = place.stand_in(pod)
        except Refused as refused:
            return _who(refused), str(refused)
        try:
            where = place.where(name)
        finally:
            place.remove(name)
        if where.startswith("nowhere"):
            return "scheduler", where
    return "nobody", ""


def _find(raws: Sequence[Raw], named: str) -> Raw:
    """The one document of a kind and name; a generated name may end with its hash."""
    kind, _, name = named.partition(" ")
    wanted = re.compile(rf"{re.escape(name)}(-[a-z0-9]{{10}})?")
    (found,) = (
        one for one in raws if one.document["kind"] == kind and wanted.fullmatch(one.document["metadata"]["name"])
    )
    return found


def _who(refused: Refused) -> str:
    """Which part of the API server speaks."""
    if 'admission webhook "' in refused.message:
        return "admission webhook"
    if "violates PodSecurity" in refused.message:
        return "pod security"
    if any(rule in refused.message for rule in _rules()):
        return "CEL"
    return "admission" if refused.reason == "Forbidden" else "api server"


@cache
def _rules() -> frozenset[str]:
    """What the rules in resource definitions say when they do not hold."""
    found: set[str] = set()
    for path in crds():
        waiting = [yaml.load(path.read_text(), yaml.CSafeLoader)["spec"]["versions"]]
        while waiting:
            here = waiting.pop()
            if isinstance(here, dict) and isinstance(rules := here.get("x-kubernetes-validations"), list):
                found |= {rule["message"] for rule in rules if "message" in rule}
            waiting += here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
    return frozenset(found)
