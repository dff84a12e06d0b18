"""Claims: aggregate's image takes at most 150 MB above its base; what each image takes; how long they are built, from nothing and again.

From nothing: podman's storage and pip's cache are empty folders, the base is made by debootstrap, and the images are built one after
another, so that the later ones find what the earlier ones share. Again: nothing changed. Sizes are of layers as they lie on a node's
disk, unpacked. Needs root, and Debian's packages podman and debootstrap.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.images.build import USUAL, build, local_base, refused, size_of
from measured import spread, write_result

AGGREGATE_MB = 150
STORAGE = """[storage]
driver = "overlay"
graphroot = "{folder}/images"
runroot = "{folder}/running"
"""


def main() -> None:
    """Everything from nothing, then again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"without: {', '.join(USUAL)}")
    parser.add_argument("--runs", type=int, default=1, help="from nothing, and again")
    asked = parser.parse_args()
    targets = asked.targets or list(USUAL)
    if wrong := refused(targets, None):
        parser.error(wrong)
    runs = []
    for _ in range(asked.runs):
        with own_storage():
            runs.append(run(targets))
    write_result("images", {"claim": __doc__, "aggregate_mb_promised": AGGREGATE_MB, "figures": figures(targets, runs)})


def run(targets: Sequence[str]) -> dict[str, Any]:
    """Seconds of the base and of each target, and their bytes."""
    began = time.monotonic()
    base = local_base()
    base_s = time.monotonic() - began
    cold = [build(target, base) for target in targets]
    print(*cold, sep="\n", flush=True)
    return {
        "base_s": base_s,
        "base_bytes": size_of(base),
        "built": dict(zip(targets, cold, strict=True)),
        "again_s": sum(build(target, base).seconds for target in targets),
    }


def figures(targets: Sequence[str], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What a run's figures are over the runs. Sizes are those of the last: they do not depend on the machine."""
    last = runs[-1]
    return {
        "base_mb": round(last["base_bytes"] / 1e6, 1),
        "above_base_mb": {name: round(last["built"][name].above_base_bytes / 1e6, 1) for name in targets},
        "base_s": spread([one["base_s"] for one in runs]),
        "from_nothing_s": {name: spread([one["built"][name].seconds for one in runs]) for name in targets},
        "all_from_nothing_s": spread(
            [one["base_s"] + sum(built.seconds for built in one["built"].values()) for one in runs]
        ),
        "all_again_s": spread([one["again_s"] for one in runs]),
    }


@contextmanager
def own_storage() -> Iterator[None]:
    """Podman and pip keep what they keep in a folder that goes with this."""
    with tempfile.TemporaryDirectory(prefix="bench-images-", dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
        (folder / "tmp").mkdir()
        own = {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "TMPDIR": str(folder / "tmp")}
        before = {key: os.environ.get(key) for key in own}
        os.environ.update(own)
        try:
            yield
        finally:
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value


if __name__ == "__main__":
    main()
