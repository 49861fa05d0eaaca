"""What every test gets: a folder of its own, and servers that are ended when the test ends."""

import contextlib
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from servers.process import Folder

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
