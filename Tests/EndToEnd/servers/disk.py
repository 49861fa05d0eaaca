"""The disk that forgets: `ops/faults/shim.c` under Figaro, and its journal played after a kill."""

import pathlib
import subprocess

from servers.figaro import root
from servers.process import Failed


def compile_shim(folder):
    """Compiles the shim into a folder and returns its path, for LD_PRELOAD."""
    library = pathlib.Path(folder) / "shim.so"
    done = subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", "-o", library, root / "ops/faults/shim.c", "-ldl", "-lpthread"],
        capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise Failed(f"the shim does not compile: {done.stderr}")
    return library


class ForgetfulDisk:
    def __init__(self, folder, spool, sync="normal", delay=0):
        """`sync` is noop for the mutation that takes fsync out; `delay` is microseconds that an fsync takes longer."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.spool = pathlib.Path(spool)
        self.spool.mkdir(parents=True, exist_ok=True)
        self.journal, self.broken = self.folder / "journal", self.folder / "broken"
        library = compile_shim(self.folder)
        self.env = {"LD_PRELOAD": str(library), "FAULT_ROOT": str(self.spool), "FAULT_JOURNAL": str(self.journal),
                    "FAULT_SYNC": sync, "FAULT_FAIL": str(self.broken), "FAULT_DELAY": str(delay)}

    def cut_power(self, seed=None):
        """After the kill: throws away what was not synced, all of it or by a seed some of it."""
        some = [] if seed is None else ["--some", str(seed)]
        done = subprocess.run([root / "ops/faults/rollback", self.journal, *some], capture_output=True, text=True,
                              timeout=120)
        if done.returncode != 0:
            raise Failed(f"rollback: {done.stderr}")
        return done.stdout.strip()

    def fail_syncs(self):
        self.broken.touch()

    def heal(self):
        self.broken.unlink(missing_ok=True)
