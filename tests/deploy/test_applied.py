"""Every overlay on a real control plane: it is taken as it is written, its pods come up, and what it forbids is refused."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

import pytest

from tests.deploy.api import MERGE, Document, Refused
from tests.deploy.built import matches, pods
from tests.deploy.place import NAMESPACE, TOO_MANY, Place
from tests.deploy.rights import rights_missed

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy")]


def test_everything_is_taken_as_it_is_written(place: Place) -> None:
    assert place.raws
    assert place.refused == []


def test_every_deployment_and_stateful_set_rolls_out(place: Place) -> None:
    place.wait_rolled_out()
    assert place.documents("Deployment", "StatefulSet")


def test_a_pod_with_more_rights_is_refused_where_the_pods_of_an_overlay_are(place: Place) -> None:
    pod: Document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged", "namespace": NAMESPACE},
        "spec": {"containers": [{"name": "any", "image": "any:1", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(Refused, match='violates PodSecurity "restricted'):
        place.api.create(pod, dry=True)


def test_a_cron_job_makes_a_job_and_the_job_a_pod_that_ends(place: Place) -> None:
    for one in place.documents("CronJob"):
        path = place.api.path(one)
        made = datetime.fromisoformat(place.api.get(path)["metadata"]["creationTimestamp"])
        missed = (made - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        place.api.call("PATCH", path, {"spec": {"startingDeadlineSeconds": 7 * 24 * 3600}}, content=MERGE)
        place.api.call("PATCH", f"{path}/status", {"status": {"lastScheduleTime": missed}}, content=MERGE)
    for one in place.documents("CronJob"):
        path = place.api.path(one)
        place.plane.until(f"{path} was done", lambda path=path: "lastSuccessfulTime" in place.api.get(path)["status"])


@pytest.mark.parametrize("place", ["district"], indirect=True)
def test_the_pods_of_a_fleet_come_to_the_nodes_that_are_meant_for_them_and_to_no_other(place: Place) -> None:
    expected = {"gpu": "gpu-", "train": "gpu-", "jetson": "jetson-"}
    sent: dict[str, set[str]] = defaultdict(set)
    for owner in pods(tuple(place.documents("RayCluster", "RayJob"))):
        names = [place.stand_in(owner, number) for number in (1, 2)]
        sent[owner.owner] |= {place.where(name) for name in names}
        place.remove(*names)

    assert {"RayCluster classpulse gpu", "RayCluster classpulse jetson", "RayCluster classpulse cpu"} <= sent.keys()
    for owned, nodes in sent.items():
        kind = expected.get(owned.rpartition(" ")[2], "server-")
        assert all(node.startswith(kind) for node in nodes), f"{owned} came to {nodes}"


@pytest.mark.parametrize("place", ["district", "district-cpu"], indirect=True)
def test_a_drain_waits_where_a_disruption_budget_says_so_and_ends(place: Place) -> None:
    place.scale_as_keda()
    copies = {
        budget["metadata"]["name"]: [
            pod for pod in place.pods() if matches(budget["spec"]["selector"], pod["metadata"]["labels"])
        ]
        for budget in place.documents("PodDisruptionBudget")
    }
    tried = [mine for mine in copies.values() if len(mine) > 1]
    assert len(tried) > 1
    with place.plane.paused("kwok"):  # so that no successor is ready before the next is asked for
        for mine in tried:
            place.evict(mine[0])
            with pytest.raises(Refused, match="disruption budget") as refused:
                place.evict(mine[1])
            assert refused.value.code == TOO_MANY
    place.wait_rolled_out()

    ((busy, _),) = Counter(pod["spec"]["nodeName"] for pod in place.pods()).most_common(1)
    place.drain(busy)
    place.wait_rolled_out()
    assert busy not in {pod["spec"]["nodeName"] for pod in place.pods()}


@pytest.mark.parametrize("place", ["district"], indirect=True)
def test_an_account_may_do_its_work_and_nothing_else(place: Place) -> None:
    assert list(rights_missed(place)) == []


@pytest.mark.parametrize("place", ["district", "district-cpu"], indirect=True)
def test_keda_agrees_with_each_scaled_object_and_refuses_a_second_for_its_target(place: Place) -> None:
    scaled = place.documents("ScaledObject")
    assert len(scaled) > 1
    for one in scaled:
        second = {**one, "metadata": {"name": "second", "namespace": NAMESPACE}}
        with pytest.raises(Refused, match="already managed by the ScaledObject"):
            place.api.create(second, dry=True)
