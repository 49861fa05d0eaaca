"""A relay with a deep queue, and the world around it: a DNS with fifty thousand domains, live and dead receivers."""

import contextlib
import pathlib
import socket
import sqlite3
import subprocess
import threading
import time

from load.spool import fill
from servers.dead import Deaf
from servers.driver import send
from servers.figaro import Figaro
from servers.process import Failed, cpu_seconds, free_port, speaks, wait_until
from servers.receiver import Receiver
from servers.sink import Sink
from servers.unbound import Unbound

zone = "depth.example"
# What stands below each name of the zone. Every domain is a site of its own: it is its own mail host.
live, seen, slow, deaf, refused = "live", "seen", "slow", "deaf", "refused"
below = {live: "127.98.0.1", seen: "127.98.0.2", slow: "127.98.0.3", deaf: "127.98.0.4", refused: "127.98.0.5"}
# Where dead domains are to have addresses of their own: nobody listens on the first, the second are deaf, a thousand of
# them, so that a failure of one host says nothing about the next.
_networks, deaf_hosts = {refused: "127.110", deaf: "127.120"}, 1_000
# Nobody resolves what is below it.
broken = "broken"
customers = {"acme": {"networks": ["127.0.0.0/8"]}, "other": {"networks": ["127.9.0.0/16"]}}
other_client = "127.9.0.1"


def _address(kind, number):
    number = number % deaf_hosts if kind == deaf else number
    return f"{_networks[kind]}.{number // 250}.{number % 250 + 1}"


def domain(number, kind, prefix="d"):
    return f"{prefix}{number}.{kind}.{zone}"


def fill_zone(spool, count, domains, kind, **options):
    fill(spool, count, domains, f"{kind}.{zone}", **options)


class World:
    """Everything but the relay's queue. `figaro` is not started."""

    def __init__(self, folder, slowness=0.05, configuration=None, seen_options=(), spread=None):
        """`spread` maps kinds of dead domains to how many there are: each of these gets an address of its own."""
        self.folder = pathlib.Path(folder)
        self.port = free_port(below[live])
        for name in ("sink", "seen", "slow"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.servers = []
        spread = spread or {}
        records = [f"d{number:0{len(str(count - 1))}}.{kind} A {_address(kind, number)}"
                   for kind, count in spread.items() for number in range(count)]
        single = {kind: address for kind, address in below.items() if kind not in spread}
        self.dns = self._keep(Unbound(self.folder / "dns", zone, records, below=single))
        self.sink = self._keep(Sink(self.folder / "sink", self.port, address=below[live]))
        self.seen = self._keep(Receiver(
            self.folder / "seen", "--no-content", *seen_options, port=self.port, address=below[seen]))
        self.slow = self._keep(Receiver(
            self.folder / "slow", "--no-content", "--slow", str(slowness), port=self.port, address=below[slow]))
        hosts = range(min(spread.get(deaf, 0), deaf_hosts))
        self.deaf = self._keep(Deaf([below[deaf], *(_address(deaf, number) for number in hosts)], self.port))
        self.figaro = Figaro(self.folder / "figaro", configuration={
            "log": {"level": "warning"}, "customers": customers,
            "dns": {"servers": [f"127.0.0.1:{self.dns.port}"]},
            "delivery": {"port": self.port, "allow": [f"127.96.0.0/11:{self.port}"]},
            # What was filled looks hours old: telling its senders of the delay would be mail that nobody counts on.
            "notices": {"delay_after": "never"},
            **(configuration or {})})
        self.spool = self.figaro.spool

    def _keep(self, server):
        self.servers.append(server)
        return server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.figaro.stop()
        for server in reversed(self.servers):
            server.stop()

    def fill(self, count, domains, kind, **options):
        fill_zone(self.spool, count, domains, kind, **options)

    def start(self, seconds=60):
        """Starts the relay; returns the seconds until it said its first word."""
        start = time.monotonic()
        self.figaro.start(seconds)
        return time.monotonic() - start

    def kill_and_start(self):
        """kill -9 and a start; returns when that start was, and the seconds until the first word of the new one."""
        self.figaro.kill()
        start = time.time()
        return start, self.start()

    def letter(self, to, identifier, size=100):
        """Hands in one message of about that many octets; a relay that does not take it is an error."""
        body = "Some words that nobody reads.\r\n" * (size // 31)
        with socket.create_connection(("127.0.0.1", self.figaro.port), 10) as connection:
            replies = connection.makefile("rb")
            lines = ["EHLO new.example", "MAIL FROM:<new@new.example>", f"RCPT TO:<you@{to}>", "DATA",
                     f"X-Test-ID: {identifier}\r\n\r\n{body}."]
            for line in [None, *lines]:
                if line:
                    connection.sendall(line.encode() + b"\r\n")
                while (reply := replies.readline())[3:4] == b"-":
                    pass
                if reply[:1] not in (b"2", b"3"):
                    raise Failed(f"{line!r} was answered {reply!r}")

    def arrival(self, identifier, seconds):
        """When the receiver of the seen sites took a message; `prefix` of an id is enough."""
        def find():
            return next((each["time"] for each in self.seen.record.messages()
                         if (each["id"] or "").startswith(identifier)), None)
        return wait_until(find, seconds, f"{identifier} arrives")

    def load(self, count, sessions=20, size=4096, to=None, limit=240):
        """smtp-source with sessions kept, to a live domain; returns how long it took."""
        start = time.monotonic()
        done = subprocess.run(
            ["/usr/sbin/smtp-source", "-4", "-d", "-s", str(sessions), "-l", str(size), "-m", str(count),
             "-f", "author@acme.example", "-t", f"reader@{to or domain(0, live)}", f"127.0.0.1:{self.figaro.port}"],
            capture_output=True, text=True, timeout=limit)
        if done.returncode != 0 or done.stderr:
            raise Failed(f"smtp-source: {done.returncode}: {done.stderr.strip()[:300]}")
        return time.monotonic() - start

    def defer(self, tools, count, domains, sessions=20, size=4096, seed=1, limit=240):
        """Mail for many domains whose hosts refuse connections, so that all of it is deferred; returns how long it took
        to be accepted."""
        start = time.monotonic()
        send(tools, f"127.0.0.1:{self.figaro.port}", "--messages", count, "--sessions", sessions, "--size", size,
             "--to", f"reader@d#.{refused}.{zone}", "--domains", domains, "--seed", seed, limit=limit)
        return time.monotonic() - start

    def load_until_it_breaks(self, count):
        """The same in a thread, for a relay that will be killed meanwhile."""
        def run():
            try:
                self.load(count)
            except (Failed, subprocess.TimeoutExpired):
                pass
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def cpu(self):
        return cpu_seconds(self.figaro.pid)

    def drained(self, seconds, since, quiet=2.0):
        """Waits until the sink takes nothing more; returns how much it took, the seconds and the CPU seconds of it.

        `since` is what the sink had, the relay's CPU seconds, and the time, at the start of that.
        """
        first, cpu, start = since
        last, at, used = self.sink.delivered(), time.monotonic(), self.cpu()
        while time.monotonic() - at < quiet:
            if time.monotonic() - start > seconds:
                raise Failed(f"the sink still gets mail after {seconds} s")
            time.sleep(0.05)
            if (now := self.sink.delivered()) != last:
                last, at, used = now, time.monotonic(), self.cpu()
        return last - first, at - start, used - cpu


def peak_memory(pid):
    """Octets that were resident at most."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise Failed(f"/proc/{pid}/status has no VmHWM")


def make_due(spool):
    """Has every domain named at once, as after a long stop: by SQL on the spool of a stopped relay. Which domains were
    postponed before stays known."""
    with contextlib.closing(sqlite3.connect(pathlib.Path(spool) / "queue.sqlite")) as database, database:
        database.execute("UPDATE agenda SET due = 1, until = (until > 0)")
