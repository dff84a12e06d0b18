"""Reads one recording in a process of its own: `python -m tests.services.ingest.peak PATH`.

Prints, as JSON, how many pictures came, how it ended, and by how much the most memory this process ever held has grown.
It is read from /proc and not by getrusage, whose `ru_maxrss` a process inherits from the one that started it.
"""

import json
import re
import sys
from pathlib import Path

from classpulse.ingest.sources.base import SourceEnded, SourceError, source_of
from tests.services.ingest.making import config_of


def peak_bytes() -> int:
    """The most memory this process has held at once."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None, "expected Linux"
    return 1024 * int(found[1])


def read(path: Path) -> tuple[int, str]:
    """(pictures, how it ended)."""
    source, pictures = source_of(config_of(path)), 0
    try:
        source.open(after_ms=-1, timeout_ms=60_000)
        while True:
            pictures += source.read() is not None
    except SourceEnded as end:
        return pictures, f"over at {end.end_ms}"
    except SourceError as error:
        return pictures, str(error)
    finally:
        source.close()


if __name__ == "__main__":
    before_bytes = peak_bytes()
    count, said = read(Path(sys.argv[1]))
    json.dump({"pictures": count, "said": said, "grown_bytes": peak_bytes() - before_bytes}, sys.stdout)
