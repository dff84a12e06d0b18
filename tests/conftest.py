"""For all tests: the commands they start obey Ctrl-C, also where the tests themselves were started in the background."""

import signal


def pytest_configure() -> None:
    """Take interrupts: a shell lets what it starts in the background ignore them, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
