"""A stage process that behaves as the file `NAME.does` in its data folder says; started like the real ones.

Its pids are appended to `NAME.pids`, so that a test can find it, whoever started it.
"""

import os
import signal
import sys
import time
from pathlib import Path

from classpulse.process import follow, stop_on_signals


def main() -> int:
    stage, words = sys.argv[1], sys.argv[sys.argv.index("--index") :]
    arguments = dict(zip(words[::2], words[1::2], strict=True))
    follow(int(arguments["--parent"]))
    data = Path(os.environ["CLASSPULSE_DATA"])
    behaviour = data / f"{stage}.does"
    does = behaviour.read_text() if behaviour.exists() else "run"
    stop = stop_on_signals()
    with (data / f"{stage}.pids").open("a") as pids:
        pids.write(f"{os.getpid()}\n")
    (data / f"{stage}.env").write_text(repr({k: v for k, v in os.environ.items() if k.startswith("CLASSPULSE_")}))
    if does == "crash":
        return 1
    if does == "refuse":
        sys.stderr.write("classpulse: model = 'x': digest expected aa, found bb\n")
        return 2
    if does == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    stop.wait(60)
    (data / f"{stage}.stopped").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
