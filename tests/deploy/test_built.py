"""Every folder of deploy/k8s builds, and what it names is what the code has: topics, users, ports, settings, secrets, images."""

import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from classpulse.bus.kafka_access import Grant, grants
from classpulse.bus.kafka_link import parse_link
from classpulse.bus.kafka_topics import configs_of
from classpulse.settings import Settings
from classpulse.site import load_site
from classpulse.supervisor import processes_of
from classpulse.topics import TOPICS
from tests.deploy.built import K8S, OVERLAYS, Document, built, built_in, named, of_kind, overlay, pods, ports
from tests.deploy.commands import USERS, command_lines, entrypoint, parse
from tests.support import ROOT

WITH_KAFKA = tuple(name for name in OVERLAYS if name != "school-edge")
FILLED_IN = {
    "district": {"platform", "cameras"},
    "district-cpu": {"cameras"},
    "laptop": {"cameras"},
    "school-edge": {"district", "cameras"},
}
"""The secrets that people make; docs/deploy.md says how. All others are made by Strimzi."""

LOOKING = {"admin", "scaler"}
"""Users that the code has no rights for: they look, and see no record."""

KINDS = {"TOPIC": "topic", "GROUP": "group", "TRANSACTIONAL_ID": "transactionalId"}


def settings_in(documents: tuple[Document, ...]) -> dict[str, str]:
    data: dict[str, str] = named(documents, "ConfigMap", "settings")["data"]
    return data


def test_there_are_the_places_that_are_promised() -> None:
    assert {"district", "laptop", "school-edge"} <= set(OVERLAYS)


@pytest.mark.parametrize(
    "folder",
    [
        str(p.parent.relative_to(K8S))
        for p in sorted(K8S.rglob("kustomization.yaml"))
        if "kind: Component" not in p.read_text()
    ],
)
def test_every_folder_builds(folder: str) -> None:
    assert built(folder)


@pytest.mark.parametrize(
    ("place", "component", "kind"),
    [
        ("district", "platform/kafka/schools", "NetworkPolicy"),
        ("school-edge", "apps/school/jetson", "StatefulSet"),
        ("district-cpu", "apps/detect/scaling", "ScaledObject"),
    ],
)
def test_every_component_builds_where_it_is_meant_to(tmp_path: Path, place: str, component: str, kind: str) -> None:
    here = os.path.relpath(K8S, tmp_path.resolve())
    own = (
        {}
        if component in (K8S / "overlays" / place / "kustomization.yaml").read_text()
        else {"components": [f"{here}/{component}"]}
    )
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [f"{here}/overlays/{place}"], **own}))
    documents = built_in(tmp_path)
    assert of_kind(documents, kind)


def test_every_file_is_named_for_its_kind_and_is_used() -> None:
    used = {
        (path.parent / name).resolve()
        for path in K8S.rglob("kustomization.yaml")
        for name in re.findall(r"[\w./-]+\.(?:yaml|toml|conf|py)", path.read_text())
    }
    for path in sorted(K8S.rglob("*.yaml")):
        if path.name == "kustomization.yaml":
            continue
        assert path.resolve() in used, f"{path}: named by no kustomization"
        kind = re.search(r"^kind: (\w+)", path.read_text(), re.MULTILINE)
        if kind:
            assert path.name == re.sub(r"(?<!^)(?=[A-Z])", "-", kind[1]).lower() + ".yaml"


def test_topics_are_those_of_the_code() -> None:
    told = {
        one["metadata"]["name"]: (
            one["spec"]["partitions"],
            {key: str(value) for key, value in one["spec"]["config"].items()},
        )
        for one in of_kind(built("platform/kafka"), "KafkaTopic")
    }
    assert told == {topic.name: (topic.partitions, configs_of(topic)) for topic in TOPICS.values()}


def test_users_may_do_what_the_code_allows_and_no_more() -> None:
    users = {one["metadata"]["name"]: one["spec"] for one in of_kind(built("platform/kafka"), "KafkaUser")}
    assert all(spec["authentication"] == {"type": "scram-sha-512"} for spec in users.values())
    told = {
        Grant(user, operation.upper(), kind, acl["resource"]["name"], acl["resource"]["patternType"] == "prefix")
        for user, spec in users.items()
        if user not in LOOKING
        for acl in spec["authorization"]["acls"]
        for kind, word in KINDS.items()
        if acl["resource"]["type"] == word
        for operation in acl["operations"]
    }
    assert told == grants(tuple(TOPICS.values()))
    looks = {op for user in LOOKING for acl in users[user]["authorization"]["acls"] for op in acl["operations"]}
    assert looks == {"Describe", "DescribeConfigs"}


@pytest.mark.parametrize("place", ["district", "district-cpu"])
def test_what_is_acknowledged_lies_on_two_brokers_at_least(place: str) -> None:
    kafka = of_kind(overlay(place), "Kafka")[0]["spec"]["kafka"]
    (pool,) = of_kind(overlay(place), "KafkaNodePool")
    config = kafka["config"]
    assert pool["spec"]["replicas"] == 3
    for copies in (
        "default.replication.factor",
        "offsets.topic.replication.factor",
        "transaction.state.log.replication.factor",
    ):
        assert config[copies] == 3
    assert config["min.insync.replicas"] == config["transaction.state.log.min.isr"] == 2
    assert config["auto.create.topics.enable"] is False
    assert all("replicas" not in topic["spec"] for topic in of_kind(overlay(place), "KafkaTopic"))


@pytest.mark.parametrize("place", WITH_KAFKA)
def test_the_bus_is_the_cluster_s_own_door_in_tls(place: str) -> None:
    (kafka,) = of_kind(overlay(place), "Kafka")
    name = kafka["metadata"]["name"]
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    assert (listener["type"], listener["tls"], listener["authentication"]) == (
        "internal",
        True,
        {"type": "scram-sha-512"},
    )
    link = parse_link(settings_in(overlay(place))["CLASSPULSE_BUS"].removeprefix("kafka://"))
    assert link.servers == (f"{name}-kafka-bootstrap:{listener['port']}",)
    for one in of_kind(overlay(place), "ScaledObject"):
        for trigger in one["spec"]["triggers"]:
            if trigger["type"] == "kafka":
                host, _, port = link.servers[0].partition(":")
                there = f"{host}.{one['metadata']['namespace']}.svc:{port}"
                assert trigger["metadata"]["bootstrapServers"] == there, "KEDA asks from a namespace of its own"
                assert (trigger["metadata"]["tls"], trigger["metadata"]["sasl"]) == ("enable", "scram_sha512")


@pytest.mark.parametrize("place", OVERLAYS)
def test_settings_are_settings_and_nothing_else_looks_like_one(place: str) -> None:
    told = settings_in(overlay(place))
    settings = Settings.from_env(told)
    assert set(told) == {name for name in told if name.startswith("CLASSPULSE_")}
    assert str(settings.data) == "/var/lib/classpulse"
    for pod in pods(overlay(place)):
        assert pod.spec["enableServiceLinks"] is False, f"{pod.owner}: services would become CLASSPULSE_ variables"
        for one in pod.containers:
            assert not [env for env in one.get("env", ()) if env["name"].startswith("CLASSPULSE_")]


@pytest.mark.parametrize("place", OVERLAYS)
def test_metrics_and_probes_are_on_the_port_that_the_settings_say(place: str) -> None:
    settings = Settings.from_env(settings_in(overlay(place)))
    for pod in pods(overlay(place)):
        told = ports(pod)
        if pod.kind == "RayCluster" or "metrics" not in told:
            continue
        count = len(processes_of(settings)) + 1 if settings.district else 1  # of a school `up` itself, too
        assert sorted(told.values()) == [settings.metrics_port + number for number in range(count)], pod.owner


@pytest.mark.parametrize("place", OVERLAYS)
def test_every_command_is_one_of_the_program_and_has_the_password_that_it_uses(place: str) -> None:
    settings = Settings.from_env(settings_in(overlay(place)))
    calls = [(pod, words) for pod in pods(overlay(place)) for words in command_lines(pod)]
    for job in of_kind(overlay(place), "RayJob"):
        calls += [(pod, entrypoint(job)) for pod in pods((job,)) if "submitter" not in pod.owner]
    assert len(calls) > (0 if place == "school-edge" else 4)
    for pod, words in calls:
        parse(words)
        mounted = {
            f"/etc/classpulse/kafka/{item['path']}"
            for volume in pod.spec["volumes"]
            for source in volume.get("projected", {}).get("sources", ())
            for item in source["secret"]["items"]
        }
        for user in USERS[words[0]]:
            link = parse_link(settings.bus_as(user).removeprefix("kafka://"))
            assert {str(link.ca), str(link.credentials)} <= mounted, f"{pod.owner}: {' '.join(words)}"


@pytest.mark.parametrize("place", OVERLAYS)
def test_secrets_are_strimzi_s_and_those_that_people_fill_in(place: str) -> None:
    documents = overlay(place)
    asked = set(re.findall(r"'(?:secretName|secret)': '([\w.-]+)'", str(documents)))
    asked |= {
        name
        for text in re.findall(r"'secretKeyRef': (\{[^}]*\})", str(documents))
        for name in re.findall(r"'name': '([\w.-]+)'", text)
    }
    asked |= {
        name
        for text in re.findall(r"'secret': (\{[^}]*\}\]?[^}]*\})", str(documents))
        for name in re.findall(r"'name': '([\w.-]+)'", text)
    }
    asked |= {
        one["name"] for auth in of_kind(documents, "TriggerAuthentication") for one in auth["spec"]["secretTargetRef"]
    }
    prefix = "".join(
        one["spec"]["entityOperator"]["userOperator"]["secretPrefix"] for one in of_kind(documents, "Kafka")
    )
    made = {f"{prefix}{one['metadata']['name']}" for one in of_kind(documents, "KafkaUser")}
    made |= {f"{one['metadata']['name']}-cluster-ca-cert" for one in of_kind(documents, "Kafka")}
    assert asked - made == FILLED_IN[place]
    assert not of_kind(documents, "Secret"), "a password that is in the repository is none"


def test_images_are_set_in_overlays_alone_each_once_and_to_a_version() -> None:
    for path in sorted(K8S.glob("[ap]*/**/*.yaml")):
        for image in re.findall(r"image: (\S+)", path.read_text()):
            assert ":" not in image, f"{path}: {image}: its version is set in the overlays"
            assert "@" not in image
    targets = set(re.findall(r"^FROM runtime AS (\S+)", _containerfile(), re.MULTILINE))
    for place in OVERLAYS:
        set_there = yaml.safe_load((K8S / "overlays" / place / "kustomization.yaml").read_text())["images"]
        names = [one["name"] for one in set_there]
        used = {one["image"] for pod in pods(overlay(place)) for one in pod.containers}
        assert len(names) == len(set(names))
        assert {image.partition(":")[0] for image in used} <= set(names)
        assert all(image.partition(":")[2] not in ("", "latest") for image in used), used
        if targets:
            assert {name.removeprefix("classpulse/") for name in names if "/" in name} <= targets


@pytest.mark.parametrize("place", OVERLAYS)
def test_the_site_file_of_an_overlay_can_be_read(place: str) -> None:
    path = K8S / "overlays" / place / "site.toml"
    load_site(path, {})
    commented = re.sub(r"^# ?(?=\[|\w+ = )", "", path.read_text(), flags=re.MULTILINE)
    assert tomllib.loads(commented)["cameras"]


def _containerfile() -> str:
    path = ROOT / "deploy" / "images" / "Containerfile"
    return path.read_text() if path.exists() else ""
