"""An upgrade, as docs/upgrade.md says it: stages are ended and started again one after the other, and every frame is accounted for."""

import re
from pathlib import Path

import psutil

from tests.chaos.route import Outcome, alive, check, outcome, tail, up, wait_until, write_site
from tests.support import ROOT

LIMIT_S = 240.0
PAGE = (ROOT / "docs" / "upgrade.md").read_text()


def order() -> list[str]:
    """The stages, in the order that the page gives."""
    return re.findall(r"^\d\. \*\*([a-z]+)\*\*", PAGE, re.MULTILINE)


def stage(process: psutil.Popen, name: str) -> psutil.Process | None:
    """The process of a stage, None while there is none."""
    for one in alive(process):
        try:
            if name in one.cmdline():
                return one
        except psutil.Error:
            continue
    return None


def test_the_page_names_every_stage_once_readers_before_those_whom_they_read() -> None:
    assert order() == ["aggregate", "bridge", "detect", "ingest"]


def test_stages_that_are_ended_one_after_the_other_in_that_order_change_nothing(
    undisturbed: Outcome, tmp_path: Path
) -> None:
    site = write_site(tmp_path)
    process = up(site)
    ended = []
    for name in order():
        if name == "bridge":
            continue  # a school's own; it keeps its position in a file of its own
        wait_until(lambda name=name: stage(process, name) is not None or process.poll() is not None, site)  # type: ignore[misc]
        running = stage(process, name)
        assert running is not None, "the route was over before its last stage was replaced"
        running.terminate()
        running.wait(30)
        ended.append(running.pid)
        wait_until(lambda name=name, pid=running.pid: _replaced(process, name, pid), site)  # type: ignore[misc]
    assert process.wait(LIMIT_S) == 0, tail(site)
    assert len(ended) == 3
    check(outcome(site), undisturbed)


def _replaced(process: psutil.Popen, name: str, pid: int) -> bool:
    found = stage(process, name)
    return found is not None and found.pid != pid
