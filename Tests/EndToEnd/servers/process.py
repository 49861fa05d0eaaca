"""Starting, watching and ending the processes of a test; nothing outlives the Python program that started it."""

import atexit
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

# Limits say how long something takes on two cores of its own. A machine that does other things as well is slower;
# waiting longer costs nothing where the condition comes true.
patience = 4

_running = []


class Failed(Exception):
    """A server did not come up, or ended when it should not have."""


class Process:
    """One server: its process group, its folder and the file that has what it printed."""

    def __init__(self, name, argv, folder, env=None, wrapper=()):
        """`wrapper` (strace and its options) stands before the command; signals go to what it runs."""
        self.name = name
        self.program = os.path.realpath(argv[0])
        self.wrapped = bool(wrapper)
        self.folder = pathlib.Path(folder)
        self.output = self.folder / f"{name}.out"
        with open(self.output, "ab") as sink:
            self.child = subprocess.Popen(
                [str(word) for word in (*wrapper, *argv)],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                start_new_session=True, cwd=self.folder, env={**os.environ, **(env or {})})
        self.pid = self.child.pid
        _running.append(self)

    def alive(self):
        return self.child.poll() is None

    def tail(self, lines=15):
        """The last lines that it printed, for an error message."""
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])

    def wait_for_port(self, port, host="127.0.0.1", seconds=20):
        """Waits until something listens there; `Failed` when the process ends or the time is up."""
        wait_until(lambda: listening(host, port) or not self.alive(), seconds, f"{self.name} on {host}:{port}")
        if not self.alive():
            raise Failed(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")

    def wait_for_word(self, port, host="127.0.0.1", seconds=20):
        """Waits until it says something to whoever connects, as an SMTP server does first."""
        wait_until(lambda: speaks(host, port) or not self.alive(), seconds, f"a word of {self.name} on {host}:{port}")
        if not self.alive():
            raise Failed(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")

    @property
    def server(self):
        """The process id of the server itself, where `pid` is a wrapper's that has not become the server."""
        if not self.wrapped:
            return self.pid
        return next((one for one in tree(self.pid) if program(one) == self.program), self.pid)

    def signal(self, number):
        if self.alive():
            os.kill(self.server, number)

    def kill(self):
        """kill -9 of the whole group, as a crash would be."""
        self._signal_group(signal.SIGKILL)
        self.child.wait(10)
        self._forget()

    def stop(self, seconds=20):
        """Asks it to end; kills what is left after that time. Returns its exit code."""
        if self.alive():
            self.signal(signal.SIGTERM)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        self._signal_group(signal.SIGKILL)
        self.child.wait(10)
        self._forget()
        return self.child.returncode

    def _signal_group(self, number):
        """The group, and those below it that made groups of their own."""
        for one in tree(self.pid)[1:]:
            _quietly(os.kill, one, number)
        _quietly(os.killpg, self.pid, number)

    def _forget(self):
        if self in _running:
            _running.remove(self)


def _quietly(send, target, number):
    try:
        send(target, number)
    except ProcessLookupError:
        pass


@atexit.register
def _end_all():
    for process in list(_running):
        process.kill()


def end_on_signals():
    """Lets SIGTERM end a program the ordinary way, so that its servers are ended too."""
    signal.signal(signal.SIGTERM, lambda *_: exit(143))


def listening(host, port):
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


def speaks(host, port):
    try:
        with socket.create_connection((host, port), timeout=0.5) as connection:
            connection.settimeout(2)
            return connection.recv(1) != b""
    except OSError:
        return False


def wait_until(condition, seconds, what, interval=0.02):
    """Waits for a condition and returns its value; `Failed` with that name when it did not come true in that many times
    `patience` seconds."""
    limit = patience * seconds
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failed(f"not within {limit} s: {what}")
        time.sleep(interval)


def free_port(host="127.0.0.1", kind=socket.SOCK_STREAM):
    """A port that nothing is bound to at the moment, from below the range that outgoing connections take."""
    for _ in range(200):
        port = 10_000 + int.from_bytes(os.urandom(2), "big") % 20_000
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((host, port))
                return port
            except OSError:
                continue
    raise Failed("no free port found")


class Folder:
    """A temporary folder that other users may enter (servers drop privileges); removed at the end unless kept."""

    def __init__(self, name, parent=None, keep=False):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=f"figaro-{name}-", dir=parent))
        self.path.chmod(0o755)
        self.keep = keep

    def __enter__(self):
        return self.path

    def __exit__(self, *_):
        if not self.keep:
            shutil.rmtree(self.path, ignore_errors=True)


def tree(pid):
    """A process and all its descendants that live now."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(children.get(one, []))
    return found


def program(pid):
    """The path of what a process runs, None when it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def mappings(pid):
    """What a process has in its address space, as the kernel tells it; empty when it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return ""


def cpu_seconds(pid):
    """User and system time of a process tree, ended and waited-for children included."""
    ticks = 0
    for one in tree(pid):
        try:
            fields = pathlib.Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_bytes(pid):
    """Proportional set size of a process tree: shared pages count once."""
    total = 0
    for one in tree(pid):
        try:
            for line in pathlib.Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            continue
    return total


def resident_bytes(pid):
    """Anonymous memory of one process that is in RAM: what it allocated, without the pages of its program."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise Failed(f"no memory known of process {pid}")
