"""What each thread of a relay asked of the system: `ops/bench/counter.c` under it, and its counts while it runs."""

import dataclasses
import mmap
import pathlib
import struct
import subprocess

from servers.figaro import root
from servers.process import Failed


@dataclasses.dataclass(frozen=True)
class Counts:
    """In the order of `struct row` after the thread's number."""
    allocations: int = 0
    allocated: int = 0
    frees: int = 0
    statements: int = 0
    syncs: int = 0
    file_writes: int = 0
    file_bytes: int = 0

    def __add__(self, other):
        return Counts(*(a + b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other))))

    def __sub__(self, other):
        return Counts(*(a - b for a, b in zip(dataclasses.astuple(self), dataclasses.astuple(other))))


class Counter:
    """Give `env` to the relay and `pid` to `by_thread` when it runs."""

    _row = struct.Struct("=8Q")

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        library, self.file = self.folder / "counter.so", self.folder / "counts"
        done = subprocess.run(
            ["gcc", "-O2", "-shared", "-fPIC", "-o", library, root / "ops/bench/counter.c", "-ldl"],
            capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise Failed(f"the counter does not compile: {done.stderr}")
        self.env = {"LD_PRELOAD": str(library), "COUNTER_FILE": str(self.file)}

    def rows(self):
        """Counts by thread number, of ended threads too."""
        with open(self.file, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as map:
            found = {}
            for thread, *counts in self._row.iter_unpack(map):
                if thread == 0:
                    break
                found[thread] = found.get(thread, Counts()) + Counts(*counts)
            return found

    def total(self):
        return sum(self.rows().values(), Counts())

    def by_thread(self, pid):
        """Counts by thread name; of threads that have ended under `ended`."""
        names = {}
        for thread, counts in self.rows().items():
            try:
                name = pathlib.Path(f"/proc/{pid}/task/{thread}/comm").read_text().strip()
            except OSError:
                name = "ended"
            names[name] = names.get(name, Counts()) + counts
        return names
