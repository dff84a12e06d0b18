"""For all tests: the commands they start obey Ctrl-C, and the brokers that they share end with those who share them."""

import signal

import pytest

from tests import brokers


def pytest_configure() -> None:
    """Take interrupts: a shell lets what it starts in the background ignore them, and children inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """A worker of pytest-xdist is through with a group when its next test is of another; even idle brokers take from what follows."""
    if hasattr(item.config, "workerinput") and group(item) != group(nextitem):
        brokers.end()


def group(item: pytest.Item | None) -> str:
    """The group of a test, by the mark that pytest-xdist goes by."""
    mark = None if item is None else item.get_closest_marker("xdist_group")
    return "" if mark is None else str(mark.args[0])
