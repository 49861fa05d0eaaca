"""One run of one contestant, and what it cost."""

import re
import threading
import time

from pairs.contestants import contestants
from servers.process import Failed, Folder, cpu_seconds, memory_bytes


class Memory(threading.Thread):
    """Looks twice a second how much memory a process tree has."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.over = pid, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.5):
            self.peak = max(self.peak, memory_bytes(self.pid))

    def finish(self):
        self.over.set()
        self.join(5)
        return max(self.peak, memory_bytes(self.pid))


def measure(name, around, options):
    """Messages a second, CPU seconds per 1,000 messages and peak memory of one run."""
    case = around.case
    count = case.count(name)
    with Folder(f"bench-{name}", options.folder, options.keep) as folder:
        sink = around.sink(folder / "sink")
        run = contestants[name](folder / name, sink, around, options)
        try:
            warm = max(case.sessions, count // 20)
            around.send(run.port, warm, run.host, run.secure)
            sink.wait_for(warm, options.limit)
            time.sleep(0.5)
            memory = Memory(run.pid) if run.pid else None
            if memory:
                memory.start()
            before, cpu, start = sink.delivered(), cpu_seconds(run.pid) if run.pid else 0, time.monotonic()
            accepted = around.send(run.port, count, run.host, run.secure)
            sink.wait_for(before + count, options.limit)
            delivered = time.monotonic() - start
            time.sleep(0.5)
            extra = sink.delivered() - before - count
            if extra:
                raise Failed(f"{name}: the sink got {extra} messages too many")
            around.check(sink, run)
            result = {"accepted": count / accepted, "delivered": count / delivered}
            if run.pid:
                result["cpu"] = (cpu_seconds(run.pid) - cpu) / count * 1000
                result["memory"] = memory.finish()
            return result
        finally:
            run.stop()
            sink.stop()


def fsyncs(name, around, options):
    """fsync and fdatasync calls a message, counted by strace in a short run of their own."""
    count = min(2000, around.case.messages)
    with Folder(f"bench-{name}", options.folder, options.keep) as folder:
        sink, counts = around.sink(folder / "sink"), folder / "counts"
        run = contestants[name](
            folder / name, sink, around, options,
            ["strace", "-f", "--seccomp-bpf", "-c", "-o", counts, "-e", "trace=fsync,fdatasync,sync_file_range"])
        try:
            around.send(run.port, count, run.host, run.secure)
            sink.wait_for(count, options.limit)
            time.sleep(0.5)
        finally:
            run.stop()
            sink.stop()
        calls = re.findall(r"^(?:\s*[\d.]+){3}\s+(\d+)(?:\s+\d+)?\s+\w+$", counts.read_text(), re.M)
        return sum(map(int, calls[:-1] if len(calls) > 1 else calls)) / count
