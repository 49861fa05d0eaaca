"""`figaro audit`: what does not add up is named, beside a running relay and without one, and nothing else is."""

import contextlib
import json
import os
import random
import sqlite3
import subprocess
import time

import pytest

from load.ledger import Load, message
from load.spool import fill
from servers.figaro import Figaro, binary
from servers.process import free_port, wait_until
from servers.receiver import Receiver
from servers.sink import Sink
from test_operating import send


def audit(figaro, *words, spool=None):
    """Exit code, findings by kind, and the summary."""
    where = ["--spool", spool] if spool else ["--config", figaro.config]
    done = subprocess.run([binary(), "audit", "--json", *words, *map(str, where)], capture_output=True, text=True,
                          timeout=120)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines and lines[-1].get("summary"), (done.returncode, done.stderr)
    findings = {}
    for line in lines[:-1]:
        findings.setdefault(line["finding"], []).append(line)
    return done.returncode, findings, lines[-1]


def behind_its_back(figaro, *statements):
    with contextlib.closing(sqlite3.connect(figaro.spool / "queue.sqlite", timeout=20)) as database, database:
        for sql, *values in statements:
            assert database.execute(sql, values).rowcount >= 1, sql


def number(identifier):
    """The id as the store has it: Crockford's base 32."""
    value = 0
    for letter in identifier:
        value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    return value


@pytest.fixture
def full(folder, started):
    """A relay with five messages that wait, all of them filed and written down."""
    receiver = started(Receiver(folder / "receiver", "--reply", "rcpt=452 4.2.2 Mailbox full"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={"delivery": {"schedule": ["1h"]}}))
    figaro.start()
    identifiers = [send(figaro.port, f"full{each}") for each in range(5)]
    for identifier in identifiers:
        wait_until(lambda: "Mailbox full" in figaro.command("trace", identifier), 20, "the attempt is in the history")
    return figaro, identifiers


@pytest.mark.parametrize("running", [True, False])
def test_a_row_that_was_deleted_behind_its_back_is_named(running, full):
    figaro, identifiers = full
    code, findings, summary = audit(figaro, "--settle", "1s")
    assert (code, findings) == (0, {}), findings
    assert summary["relay_runs"] and summary["recipients_waiting"] == 5
    if not running:
        assert figaro.stop() == 0
    victim = number(identifiers[2])
    behind_its_back(figaro, ("DELETE FROM message WHERE id = ?", victim),
                    ("DELETE FROM waiting WHERE message = ?", victim))
    code, findings, summary = audit(figaro, "--settle", "1s")
    assert code == 1 and summary["relay_runs"] == running
    assert [each["message"] for each in findings.pop("lost")] == [identifiers[2]]
    assert findings == {}
    plain = subprocess.run([binary(), "audit", "--settle", "0s", "--config", figaro.config], capture_output=True,
                           text=True, timeout=60)
    assert plain.returncode == 1 and f"lost              {identifiers[2]} <reader@sink.example>" in plain.stdout


def test_every_kind_of_damage_is_told_apart(full):
    figaro, identifiers = full
    large = [send_large(figaro.port, f"large{each}") for each in range(2)]
    for identifier in large:
        wait_until(lambda: "Mailbox full" in figaro.command("trace", identifier), 20, "the attempt is in the history")
    assert figaro.stop() == 0
    ids = [number(each) for each in identifiers]
    behind_its_back(figaro,
                    ("DELETE FROM waiting WHERE message = ?", ids[0]),     # stays, and nothing brings it on
                    ("DELETE FROM message WHERE id = ?", ids[1]),
                    ("UPDATE message SET content = NULL WHERE id = ?", ids[2]),
                    ("UPDATE message SET envelope = x'FFFF' WHERE id = ?", ids[3]),
                    ("UPDATE state SET floor = ?", ids[4]))
    with contextlib.closing(sqlite3.connect(figaro.spool / "history.sqlite")) as database, database:
        assert database.execute("DELETE FROM event WHERE message = ?", (ids[4],)).rowcount >= 1
        # Delivered and decided twice: the same rows once more, under another sequence.
        database.execute("INSERT INTO event SELECT message, sequence + 1000000, body FROM event WHERE message = ?",
                         (number(large[0]),))
    (figaro.spool / "content" / large[1]).unlink()
    (figaro.spool / "content" / "01M3QK7B8WZ4A").write_text("nobody names it")
    code, findings, summary = audit(figaro)
    named = {kind: {each["message"] for each in found} for kind, found in findings.items()}
    assert code == 1
    assert named.pop("stranded") == {identifiers[0]}
    assert identifiers[1] in named.pop("left behind") and identifiers[1] in named.pop("lost")
    assert named.pop("content missing") == {identifiers[2], large[1]}
    assert named.pop("unreadable") == {identifiers[3]}
    assert named.pop("never accepted") == {identifiers[4]}
    # Without a relay the next start removes it: named, and no finding.
    assert named.pop("content orphaned") == {"01M3QK7B8WZ4A"} and "content orphaned" not in summary["findings"]
    assert named == {}


def send_large(port, identifier):
    import smtplib
    with smtplib.SMTP("127.0.0.1", port, "customer.example", timeout=20) as client:
        client.ehlo()
        client.mail("author@customer.example")
        client.rcpt("reader@sink.example")
        code, text = client.data(message(identifier, 100_000, random.Random(identifier)))
        assert code == 250, (code, text)
        return text.decode().split()[-1]


def test_a_delivery_that_was_written_twice_is_named(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    once, twice = send(figaro.port, "once1"), send(figaro.port, "twice1")
    wait_until(lambda: len(receiver.record.by_id()) == 2, 20, "both are delivered")
    assert figaro.stop() == 0
    code, findings, summary = audit(figaro)
    assert (code, findings) == (0, {}) and summary["ended"] == {"delivered": 2}, (findings, once)
    with contextlib.closing(sqlite3.connect(figaro.spool / "history.sqlite")) as database, database:
        database.execute("INSERT INTO event SELECT message, sequence + 1000000, body FROM event WHERE message = ?",
                         (number(twice),))
    code, findings, _ = audit(figaro)
    assert code == 1 and [each["message"] for each in findings.pop("ended twice")] == [twice] and findings == {}


def test_a_busy_relay_raises_no_false_alarm(folder, started):
    """Thousands of messages are between commit, end and history at every moment of it."""
    (folder / "sink").mkdir()
    sink = started(Sink(folder / "sink"))
    figaro = started(Figaro(folder / "figaro", sink.port))
    figaro.start()
    load = started(Load(folder, figaro.port, sessions=20, seconds=25))
    wait_until(lambda: sink.delivered() > 500, 20, "mail flows")
    before = sink.delivered()
    for _ in range(2):
        code, findings, summary = audit(figaro, "--settle", "3s")
        assert (code, findings) == (0, {}), findings
        assert summary["relay_runs"]
    assert summary["messages_in_history"] > 500
    assert sink.delivered() > before + 500, "it was busy meanwhile"
    taken = len(load.wait(60))
    wait_until(lambda: sink.delivered() >= taken, 60, "all is delivered")
    assert figaro.stop() == 0
    code, findings, summary = audit(figaro)
    assert (code, findings) == (0, {}) and summary["ended"]["delivered"] >= taken, (findings, summary)


def test_what_a_kill_may_have_hidden_is_unproven_and_no_finding(folder, started):
    """The history lags two seconds behind: a kill loses these, and the audit knows."""
    receiver = started(Receiver(folder / "receiver", "--recipient", "later=452 4.2.2 Mailbox full"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={"delivery": {"schedule": ["1h"]}}))
    figaro.start()
    load = started(Load(folder, figaro.port, sessions=10, seconds=20))
    wait_until(lambda: len(load.taken()) > 300, 20, "mail flows")
    time.sleep(2.5)
    figaro.kill()
    code, findings, summary = audit(figaro)
    assert code == 0 and not summary["findings"], findings
    assert summary["gaps"] and not summary["relay_runs"]
    figaro.start()
    load.stop()
    wait_until(lambda: "nothing waits" in subprocess.run(
        [binary(), "queue", "list", "--config", figaro.config], capture_output=True, text=True, timeout=60).stderr,
        60, "the queue is empty")
    code, findings, summary = audit(figaro, "--settle", "3s")
    # Delivered again after the kill: that is what happened, and the only thing that may be named.
    assert set(summary["findings"]) <= {"ended twice"}, (findings, summary)
    assert any("before its history was written" in gap for gap in summary["gaps"])
    # What lived on after the gap has no excuse by it.
    victim = send(figaro.port, "after1", to="later@sink.example")
    wait_until(lambda: "Mailbox full" in figaro.command("trace", victim), 20, "the attempt is in the history")
    assert figaro.stop() == 0
    behind_its_back(figaro, ("DELETE FROM message WHERE id = ?", number(victim)),
                    ("DELETE FROM waiting WHERE message = ?", number(victim)))
    code, findings, summary = audit(figaro)
    assert code == 1 and [each["message"] for each in findings["lost"] if "unproven" not in each] == [victim], findings


def test_the_log_proves_what_the_history_lost(folder, started):
    receiver = started(Receiver(folder / "receiver", "--greylist", "2"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={"delivery": {"schedule": ["4s"]}}))
    figaro.start()
    identifier = send(figaro.port, "logged1")
    wait_until(lambda: "logged1" in receiver.record.by_id(), 20, "delivered at the second attempt")
    assert figaro.stop() == 0
    with contextlib.closing(sqlite3.connect(figaro.spool / "history.sqlite")) as database, database:
        # As a kill leaves it that comes before the delivery is written, and after the first attempt was.
        assert database.execute("DELETE FROM event WHERE message = ? AND sequence = (SELECT max(sequence) FROM event)",
                                (number(identifier),)).rowcount == 1
        database.execute("UPDATE run SET open = 1")
    code, findings, summary = audit(figaro)
    assert code == 0 and summary["unproven"] == {"lost": 1} and findings["lost"][0]["unproven"]
    log = figaro.process.output
    code, findings, summary = audit(figaro, "--log", log)
    assert (code, findings, summary["unproven"], summary["proven_by_log"]) == (0, {}, {}, 1)
    # A log that does not tell of it proves nothing.
    other = folder / "other.log"
    other.write_text("\n".join(line for line in log.read_text().splitlines() if "decision=delivered" not in line))
    code, findings, summary = audit(figaro, "--log", other)
    assert summary["unproven"] == {"lost": 1} and summary["proven_by_log"] == 0


def test_a_million_messages_take_bounded_memory(folder, started):
    """Read side by side in the order of ids: what it needs does not grow with the queue."""
    figaro = Figaro(folder / "figaro", free_port())
    figaro.start()
    assert figaro.stop() == 0
    count = int(os.environ.get("FIGARO_AUDIT_MESSAGES", "100000"))
    fill(figaro.spool, count, 500, "deep.example", size=512)
    begun = time.monotonic()
    done, peak = measured([binary(), "audit", "--limit", "1", "--json", "--config", figaro.config])
    seconds = time.monotonic() - begun
    summary = json.loads(done.stdout.splitlines()[-1])
    print(f"{count} messages: {peak // 1024} MB at most, {seconds:.1f} s")
    assert done.returncode == 0 and summary["messages_in_store"] == count, summary
    assert summary["messages_in_history"] == count and summary["unproven"] == {}
    assert peak < 200 << 10, f"{peak} KB"


def measured(words):
    """Runs a command; what it said and its peak of memory in KB."""
    import resource
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600)
    return done, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def test_a_spool_that_is_none_is_66(folder):
    done = subprocess.run([binary(), "audit", "--spool", folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 66 and "queue.sqlite" in done.stderr
