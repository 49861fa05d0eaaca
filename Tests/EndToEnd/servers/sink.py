"""smtp-sink, Postfix's discarding receiver, with its running counters."""

import os
import pathlib

from servers.process import Process, free_port, wait_until


class Sink:
    """Takes everything and keeps nothing; `delivered` tells how much it took."""

    def __init__(self, folder, port=None, connections=4000, options=(), address="127.0.0.1"):
        self.port = port or free_port(address)
        self.process = Process(
            "sink", ["/usr/sbin/smtp-sink", "-u", "nobody", "-c", "-m", connections, *options,
                     f"{address}:{self.port}", "4096"], folder)
        self.process.wait_for_port(self.port, address)
        self._descriptor = os.open(self.process.output, os.O_RDONLY)

    def delivered(self):
        """Messages taken since it was started: it rewrites one line, `sess=2 quit=1 mesg=7`, at every event."""
        size = os.fstat(self._descriptor).st_size
        tail = os.pread(self._descriptor, 200, max(0, size - 200))
        for record in reversed(tail.split(b"\r")[:-1]):
            _, found, count = record.partition(b"mesg=")
            if found and count.isdigit():
                return int(count)
        return 0

    def wait_for(self, count, seconds):
        wait_until(lambda: self.delivered() >= count, seconds, f"{count} messages at the sink", 0.01)

    def stop(self):
        os.close(self._descriptor)
        self.process.stop()
        pathlib.Path(self.process.output).unlink(missing_ok=True)
