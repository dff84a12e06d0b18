"""Claim: cameras of a school are opened, closed and taken over in time: a change in 5 s, a dead copy's cameras in 15 s.

Copies of ingest share six drawn cameras over one plaintext node, on the same cores. In every round a camera is added and
removed, a second copy joins, and that copy is killed. Times are the broker's: from the operator's command, or the kill, to
the first frame (of a removed camera: to the last word, `off`) that was appended afterwards. A camera that changes hands is
given with the longest time between two of its frames, which are 0.5 s apart while nothing happens.
"""

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from measured import spread, write_result
from tests.chaos.school import CAMERAS, ROOM, School, camera, opened, state_of, wait_until

from classpulse.records import Frame

LIMIT_CHANGE_S, LIMIT_TAKEN_OVER_S = 5, 15


def main() -> None:
    """Measure `--rounds` rounds and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, list[float]] = {"added_s": [], "removed_s": [], "handed_over_gap_s": [], "taken_over_s": []}
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as school:
        school.start()
        school.all_seen_anew(CAMERAS)
        for number in range(asked.rounds):
            added, removed = changed(school, f"{ROOM}/added-{number}")
            found["added_s"].append(added)
            found["removed_s"].append(removed)
            gaps, taken_over = shared(school)
            found["handed_over_gap_s"] += gaps
            found["taken_over_s"] += taken_over
            print({name: [round(one, 1) for one in values] for name, values in found.items()}, flush=True)
    told: dict[str, Any] = {name: spread(values) for name, values in found.items()}
    limits = {"limit_change_s": LIMIT_CHANGE_S, "limit_taken_over_s": LIMIT_TAKEN_OVER_S}
    write_result("ingest_kafka", {"claim": __doc__, "cameras": len(CAMERAS), **limits, **told})


def changed(school: School, key: str) -> tuple[float, float]:
    """Seconds until an added camera's first frame, and until a removed one's last word."""
    asked_ms = now_ms()
    school.roster.write([camera(key)])
    school.all_seen_anew([key])
    added_ms = next(at_ms for at_ms, noun in school.appended()[key] if isinstance(noun, Frame))
    removed_ms = now_ms()
    school.roster.remove_camera(key)
    wait_until(lambda: state_of(school.told()[key][-1]) == "off", school.logs)
    return (added_ms - asked_ms) / 1000, (school.appended()[key][-1][0] - removed_ms) / 1000


def shared(school: School) -> tuple[list[float], list[float]]:
    """Of the cameras a joining copy is given: the longest gap; and from its death to their next frame, in seconds."""
    copy, joined_ms = len(school.copies), now_ms()
    process = school.start()
    wait_until(lambda: school.opened(copy), school.logs)
    school.all_seen_anew(CAMERAS)
    theirs = [key for key in CAMERAS if f"{key}: opened" in school.log(copy)]
    gaps = [longest_gap_ms(frames_ms(school, key), joined_ms) / 1000 for key in theirs]
    process.kill()
    killed_ms = now_ms()
    process.wait()
    time.sleep(1)
    school.all_seen_anew(CAMERAS)
    after = [next(ms for ms in frames_ms(school, key) if ms > killed_ms) for key in theirs]
    return gaps, [(ms - killed_ms) / 1000 for ms in after]


def frames_ms(school: School, key: str) -> list[int]:
    """When each frame of a camera was appended."""
    return [at_ms for at_ms, noun in school.appended()[key] if isinstance(noun, Frame)]


def longest_gap_ms(at_ms: list[int], since_ms: int) -> int:
    """The longest time between two neighbouring frames, of which the later came after `since_ms`."""
    return max(later - earlier for earlier, later in pairwise(at_ms) if later > since_ms)


def now_ms() -> int:
    """The wall clock, which the broker shares."""
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    main()
