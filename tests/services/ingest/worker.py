"""The stage ingest as a process of its own: `python -m tests.services.ingest.worker`, set by CLASSPULSE_* variables."""

import os

from classpulse.ingest.main import run
from classpulse.process import stop_on_signals
from classpulse.settings import Settings

if __name__ == "__main__":
    run(Settings.from_env(os.environ), index=0, count=1, stop=stop_on_signals())
