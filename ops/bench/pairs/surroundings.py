"""What the runs of a case have around them: source and sink, a certificate, a slower disk, a zone."""

import contextlib
import subprocess
import time

from pairs.case import domain, zone
from servers.driver import LoadSink, build, certificate, send
from servers.disk import compile_shim
from servers.process import Failed, Folder, mappings, tree
from servers.sink import Sink
from servers.unbound import Unbound

# Mail for MX hosts goes to port 25, so these get addresses of their own.
_resolver, _hosts = "127.88.30.53", [f"127.88.30.{number}" for number in range(1, 51)]


class Surroundings(contextlib.ExitStack):
    def __init__(self, case, options):
        super().__init__()
        self.case, self.limit = case, options.limit
        self.folder = self.enter_context(Folder("bench-around", options.folder, options.keep))
        self.tools = build(self.folder / "tools") if case.tools == "own" else None
        if case.tls_in or case.tls_out:
            self.chain, self.key = certificate(self.folder, "relay.example")
            self.key.chmod(0o644)
        self.shim = compile_shim(self.folder) if case.fsync_delay else None
        self.zone = self._start_zone() if case.domains > 1 else None

    def _start_zone(self):
        names = [f"d{number:04}" for number in range(self.case.domains)]
        if self.case.own_hosts:
            records = [f"{name} MX 10 mx.{name}.{zone}." for name in names]
            records += [f"mx.{name} A {_hosts[number % len(_hosts)]}" for number, name in enumerate(names)]
        else:
            records = [f"{name} MX 10 mx.{zone}." for name in names] + [f"mx A {_hosts[0]}"]
        server = Unbound(self.folder / "unbound", zone, records, place=(_resolver, 53))
        self.callback(server.stop)
        resolver = self.folder / "resolv.conf"
        resolver.write_text(f"nameserver {_resolver}\n")
        return server

    @property
    def resolver(self):
        """Where names are asked for, as Figaro's configuration has it."""
        return f"{_resolver}:53"

    @property
    def seeing_zone(self):
        """What stands before a command that asks the system's resolver: a resolv.conf of its own."""
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ["unshare", "-m", "sh", "-c", script, self.folder / "resolv.conf"]

    @property
    def slowed(self):
        """The environment of a process whose fsyncs are slowed."""
        if not self.shim:
            return {}
        return {"LD_PRELOAD": str(self.shim), "FAULT_DELAY": str(self.case.fsync_delay)}

    def sink(self, folder):
        """A new sink for one run, stopped by whoever asked for it."""
        folder.mkdir()
        if self.case.tools == "postfix":
            return Sink(folder)
        tls = ["--certificate", self.chain, "--key", self.key] if self.case.tls_out else []
        hosts = _hosts if self.case.own_hosts else _hosts[:1]
        listen = [f"{host}:25" for host in hosts] if self.zone else ["127.0.0.1:0"]
        return LoadSink(folder, self.tools, *tls, listen=listen)

    def send(self, port, count, host="127.0.0.1", secure=None):
        """Runs the load; returns how long it took, which is until the last 250 and QUIT."""
        case, start = self.case, time.monotonic()
        if case.tools == "postfix":
            self._smtp_source(f"{host}:{port}", count)
            return time.monotonic() - start
        options = ["--messages", count, "--sessions", case.sessions, "--size", case.size]
        options += [] if case.kept else ["--per-session", 1]
        options += ["--tls", "starttls"] if (case.tls_in if secure is None else secure) else []
        if case.domains > 1:
            # A seed of its own for each load: later ones do not find the domains of the first ones known.
            options += ["--to", f"reader@d#.{zone}", "--domains", case.domains, "--seed", count]
        send(self.tools, f"{host}:{port}", *options, limit=self.limit)
        return time.monotonic() - start

    def check(self, sink, run):
        """That a run was what its case says: a comparison of something else is worse than none."""
        if self.case.tls_out and sink.counts()["secured"] != sink.counts()["connections"]:
            raise Failed(f"not every connection to the sink had TLS: {sink.counts()}")
        if self.shim and run.pid and not all(str(self.shim) in mappings(pid) for pid in tree(run.pid)):
            raise Failed("not every process has slower fsyncs")

    def _smtp_source(self, place, count):
        case = self.case
        done = subprocess.run(
            ["/usr/sbin/smtp-source", "-4", *(["-d"] if case.kept else []), "-s", str(case.sessions), "-l",
             str(case.size), "-m", str(count), "-f", "author@customer.example", "-t", f"reader@{domain}", place],
            capture_output=True, text=True, timeout=self.limit)
        if done.returncode != 0 or done.stderr:
            raise Failed(f"smtp-source: {done.returncode}: {done.stderr.strip()[:500]}")
