"""Every alert has its section and every section its alert; what a section says to do can be done."""

import re
from typing import Any

import pytest
from typer.core import TyperGroup

from classpulse.cli import COMMANDS, load
from tests.monitoring.rules import alerts
from tests.support import ROOT

PAGE = (ROOT / "docs" / "runbook.md").read_text()
SECTIONS = {
    text.split("\n")[0]: text
    for text in re.split(r"^### ", re.sub(r"^## .*$", "", PAGE, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
}


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    assert sorted(SECTIONS) == sorted({rule["alert"] for rule in alerts()})


@pytest.mark.parametrize("alert", SECTIONS)
def test_a_section_says_what_it_means_where_to_look_and_what_to_do(alert: str) -> None:
    assert re.findall(r"^\*\*(\w+)\*\*: ", SECTIONS[alert], re.MULTILINE) == ["Means", "Look", "Do"]


def test_a_link_within_the_page_leads_to_a_section() -> None:
    headings = {
        re.sub(r"[^a-z0-9 -]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links, "the page has no links"
    assert links <= headings


def commands() -> list[str]:
    return sorted(set(re.findall(r"`classpulse ([a-z-][^`]*)`", PAGE)))


@pytest.mark.parametrize("line", commands())
def test_a_command_that_it_names_exists(line: str) -> None:
    name, *words = line.split()
    assert name in COMMANDS
    command: Any = load(name)
    if isinstance(command, TyperGroup):
        assert words, f"classpulse {name} alone does nothing"
        assert words[0] in command.commands
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options
