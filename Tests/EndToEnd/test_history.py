"""What happened is remembered as long, and in as much room, as `history:` says; what still waits keeps its story."""

import contextlib
import sqlite3
import subprocess
import time

from servers.figaro import Figaro, binary
from servers.process import wait_until
from servers.receiver import Receiver
from test_audit import audit
from test_operating import fails, send


def known(figaro, identifier):
    done = subprocess.run([binary(), "trace", identifier, "--config", figaro.config], capture_output=True, text=True,
                          timeout=60)
    return done.returncode == 0


def test_traces_go_when_they_are_old_but_not_those_of_mail_that_waits(folder, started):
    receiver = started(Receiver(folder / "receiver", "--recipient", "later=452 4.2.2 Mailbox full"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={
        "history": {"keep": "8s"}, "delivery": {"schedule": ["1h"]}}))
    figaro.start()
    waits, done = send(figaro.port, "waits1", to="later@sink.example"), send(figaro.port, "done1")
    wait_until(lambda: known(figaro, waits) and "delivered" in figaro.command("trace", done), 8, "both are known")
    # A restart in the middle of it.
    assert figaro.stop() == 0
    figaro.start()
    wait_until(lambda: not known(figaro, done), 30, "what was delivered is forgotten")
    assert known(figaro, waits) and "Mailbox full" in figaro.command("trace", waits)
    young = send(figaro.port, "young1")
    wait_until(lambda: known(figaro, young), 8, "what is new is known")
    # Of several each is told under its name, and what is unknown of them as well.
    code, said = fails(figaro, "trace", done, waits, young)
    assert code == 1 and f"nothing is known of {done}" in said, said
    assert f"\nmessage {waits}\n" in said and f"\nmessage {young}\n" in said, said
    code, findings, _ = audit(figaro, "--settle", "3s")
    assert (code, findings) == (0, {}), findings


def test_traces_go_when_there_are_too_many_and_mail_flows_on(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={
        "history": {"keep": "3650d", "size": "1MB"}}))
    figaro.start()
    assert figaro.stop() == 0
    first = None
    with contextlib.closing(sqlite3.connect(figaro.spool / "history.sqlite")) as database, database:
        # Three megabytes of stories, older than any that comes.
        for each in range(1, 3001):
            database.execute("INSERT INTO event VALUES (?, 1, zeroblob(1000))", ((each << 21) + 1,))
    figaro.start()
    slowest = 0
    begun = time.monotonic()
    while time.monotonic() - begun < 3:
        before = time.monotonic()
        first = first or send(figaro.port, "flow1")
        send(figaro.port, f"flow{before}")
        slowest = max(slowest, time.monotonic() - before)

    def rows():
        with contextlib.closing(sqlite3.connect(f"file:{figaro.spool}/history.sqlite?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM event WHERE message < ?", (4000 << 21,)).fetchone()[0]

    wait_until(lambda: rows() < 2_000, 30, "the oldest are forgotten")
    print(f"slowest message while a history was trimmed: {slowest * 1000:.0f} ms")
    assert slowest < 2
    assert figaro.stop() == 0


def test_a_wrong_history_section_names_file_line_and_key(folder):
    figaro = Figaro(folder / "figaro", 2526, configuration={"history": {"keep": "14 days"}})
    code, said = fails(figaro, "config", "check")
    assert code == 78 and "history.keep" in said and "figaro.yaml:" in said, said
