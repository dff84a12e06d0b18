"""Claim: `make check-deploy` takes 25 minutes at most with nothing in any cache, and 2 minutes with its programs there.

Once with empty caches of ours, of Go and of Maven, then three times with what that left. The project is set up before; what pip and
uv hold is not measured. Reported: seconds of the whole command.
"""

import os
import subprocess
import tempfile
import time
from pathlib import Path

from measured import ROOT, spread, write_result

WARM_RUNS = 3


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, **_empty_caches(Path(folder))}
        cold_s = _once(environ)
        print(f"cold: {cold_s:.0f} s", flush=True)
        warm_s = [_once(environ) for _ in range(WARM_RUNS)]
        print(f"warm: {', '.join(f'{one:.0f}' for one in warm_s)} s", flush=True)
        # Go keeps what it fetched without the right to write, which not even its owner may remove.
        subprocess.run(["go", "clean", "-modcache"], env=environ, check=True)
    write_result("check_deploy", {"cold_s": round(cold_s, 1), "warm_s": spread(warm_s)})


def _empty_caches(folder: Path) -> dict[str, str]:
    """Ours, Go's and Maven's; what pip and uv hold is of `make setup`."""
    return {
        "XDG_CACHE_HOME": str(folder / "cache"),
        "GOPATH": str(folder / "go"),
        "GOCACHE": str(folder / "go-build"),
        "MAVEN_OPTS": f"-Dmaven.repo.local={folder / 'maven'}",
    }


def _once(environ: dict[str, str]) -> float:
    start = time.monotonic()
    subprocess.run(["make", "check-deploy"], cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


if __name__ == "__main__":
    main()
