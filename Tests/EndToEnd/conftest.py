"""What every test gets: a folder of its own, and servers that are ended when the test ends."""

import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from servers.process import Folder

CLONE_NEWNET = 0x40000000

# SIGTERM is Ctrl-C: pytest stops, and its servers are ended.
signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture
def folder(request):
    """On a disk, since durability is tested; kept when FIGARO_KEEP is set."""
    with Folder("test", os.environ.get("FIGARO_TEST_FOLDER", "/var/tmp"), "FIGARO_KEEP" in os.environ) as path:
        yield path


@pytest.fixture
def started():
    """Call it with a server: `started(Receiver(folder))`; it is stopped at the end, the last one first."""
    with contextlib.ExitStack() as stack:
        def keep(server):
            stack.callback(server.stop)
            return server
        yield keep


def pytest_configure(config):
    """Each of several workers gets a network of its own: loopback alone, where every port is free."""
    config.addinivalue_line("markers", "alone: it measures times or counts, so nothing else is to run meanwhile")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace of its own; run as root, or with one worker")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
