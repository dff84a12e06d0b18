"""The broker's jars: Maven fetches them once, and what of them is run as a program."""

import fcntl
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
LIBS = HERE.parents[2] / "build" / "kafka" / "libs"


def fetch_jars() -> None:
    """Let Maven fetch the broker, unless that was done; one process at a time. Raises RuntimeError naming what is missing."""
    LIBS.mkdir(parents=True, exist_ok=True)
    with (LIBS.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for program in ("java",) if _fetched() else ("java", "mvn"):
            if shutil.which(program) is None:
                raise RuntimeError(f"{program} is not installed: on Debian, apt install openjdk-17-jre-headless maven")
        if not _fetched():
            _fetch()


def _fetch() -> None:
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={LIBS}"]
    done = subprocess.run(
        ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), *goal], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"mvn {goal[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    (LIBS / "fetched").write_text((HERE / "pom.xml").read_text())


def _fetched() -> bool:
    mark = LIBS / "fetched"
    return mark.is_file() and mark.read_text() == (HERE / "pom.xml").read_text()


def java(options: Sequence[str], main: str, *words: str) -> list[str]:
    """The command line of one of the broker's Java programs."""
    return [
        "java",
        *options,
        f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
        "-cp",
        f"{LIBS}/*",
        main,
        *words,
    ]
