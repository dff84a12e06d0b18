"""What is asked of the images' build, before anything is built."""

import re
from configparser import RawConfigParser
from pathlib import Path

import pytest
from deploy.images.build import CERTIFICATES, FILE, TARGETS, main, pip_secrets, refused

PINNED = "example/base@sha256:" + 64 * "0"
STAGES = re.findall(r"^FROM (\S+) AS (\S+)$", FILE.read_text(), re.MULTILINE)


def test_every_target_is_a_stage_that_becomes_an_image() -> None:
    assert {name for name, start in ((name, start) for start, name in STAGES) if start == "runtime"} == set(TARGETS)


def test_nothing_is_pulled_but_the_base_that_is_given() -> None:
    made = {name for _, name in STAGES}
    assert {start for start, _ in STAGES} - made == {"${BASE}"}
    assert "@sha256:" in next(line for line in FILE.read_text().splitlines() if line.startswith("ARG BASE="))


@pytest.mark.parametrize(
    ("targets", "base", "said"),
    [
        (["detect"], None, "TARGET 'detect': expected one of ingest, "),
        (["detect-gpu"], None, "--base: detect-gpu starts from an image of NVIDIA's; expected NAME@sha256:DIGEST"),
        (["ingest"], "debian:bookworm-slim", "--base 'debian:bookworm-slim': a tag moves; expected NAME@sha256:DIGEST"),
    ],
)
def test_what_cannot_be_built_is_refused(targets: list[str], base: str | None, said: str) -> None:
    assert refused(targets, base).startswith(said)


def test_a_program_that_is_absent_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refused(["detect-gpu"], PINNED) == (
        "podman, debootstrap: not found; expected Debian's packages podman debootstrap"
    )


def test_a_refusal_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["detect"])
    assert "TARGET 'detect': expected one of" in capsys.readouterr().err


def test_the_build_asks_the_index_that_pip_asks_and_sees_no_folder_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    certificates = tmp_path / "ca.pem"
    certificates.write_text("of a company's own")
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    monkeypatch.setenv("PIP_CERT", str(certificates))
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    with pip_secrets() as secrets:
        config = RawConfigParser()
        config.read(secrets["pip.conf"])
        found = dict(config["global"])
        assert secrets["ca.crt"].read_text() == "of a company's own"
    assert (found["index-url"], found["cert"]) == ("https://packages.example/simple", CERTIFICATES)
    assert "find-links" not in found
    assert not secrets["pip.conf"].exists()
