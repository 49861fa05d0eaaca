"""Our own source and sink, `ops/bench/load`, built for this run: what smtp-source and smtp-sink cannot do."""

import json
import mmap
import pathlib
import struct
import subprocess

from servers.figaro import root
from servers.process import Failed, Process, wait_until

_code = root / "ops/bench/load"
_parts = {"source": ["source.c", "session.c", "report.c", "wire.c"], "sink": ["sink.c", "receive.c", "wire.c"]}


def build(folder):
    """Compiles both into a folder; `load-source` and `load-sink` are their names."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, parts in _parts.items():
        words = ["gcc", "-O2", "-o", folder / f"load-{name}", *(_code / part for part in parts)]
        done = subprocess.run([*words, "-lssl", "-lcrypto", "-lm"], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise Failed(f"the load {name} does not compile: {done.stderr}")
    return folder


def certificate(folder, name):
    """A self-signed certificate for a name and its key: the paths of both."""
    key, chain = pathlib.Path(folder) / "key.pem", pathlib.Path(folder) / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", chain, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True, timeout=60)
    return chain, key


def send(tools, place, *options, limit=300):
    """Runs the source against ADDRESS:PORT; returns its account. `Failed` with its own words when it fails."""
    words = [str(word) for word in options]
    done = subprocess.run([tools / "load-source", *words, "--limit", str(limit), place], capture_output=True, text=True,
                          timeout=limit + 30)
    if done.returncode != 0 or done.stderr:
        raise Failed(f"the load source ended with {done.returncode}: {done.stderr.strip()[:500]}")
    return json.loads(done.stdout)


_sent, _arrived = struct.Struct("=QqqqQ"), struct.Struct("=Qqq")


def sent(path):
    """The source's record: (sequence, due, dot, replied, code) of each message; times in nanoseconds."""
    return list(_sent.iter_unpack(pathlib.Path(path).read_bytes()))


def arrived(path):
    """The sink's record: (sequence, begun, time) of each message that came; times in nanoseconds."""
    return list(_arrived.iter_unpack(pathlib.Path(path).read_bytes()))


class LoadSink:
    """The sink and its running counts; the same face as `Sink` has."""

    _counts = ("messages", "recipients", "connections", "open", "secured", "resumed", "refused", "octets")

    def __init__(self, folder, tools, *options, listen=("127.0.0.1:0",), limit=3600):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        counters = folder / "counters"
        places = [word for place in listen for word in ("--listen", place)]
        self.process = Process(
            "load-sink", [tools / "load-sink", *places, "--counters", counters, "--limit", limit, *options], folder)
        wait_until(lambda: self._first_line() or not self.process.alive(), 20, "the load sink listens")
        if not self._first_line():
            raise Failed(f"the load sink ended with {self.process.child.returncode}:\n{self.process.tail()}")
        self.ports = [int(word) for word in self._first_line().split()[1:]]
        self.port = self.ports[0]
        with open(counters, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 8 * len(self._counts), access=mmap.ACCESS_READ)

    def _first_line(self):
        line, end, _ = self.process.output.read_text().partition("\n")
        return line if end and line.startswith("listening") else None

    def counts(self):
        """What it has counted since it was started, by name."""
        return dict(zip(self._counts, struct.unpack(f"={len(self._counts)}Q", self._map[:])))

    def delivered(self):
        return self.counts()["messages"]

    def wait_for(self, count, seconds):
        wait_until(lambda: self.delivered() >= count, seconds, f"{count} messages at the sink", 0.01)

    def stop(self):
        """Ends it, which is when it writes its record."""
        self.process.stop()
