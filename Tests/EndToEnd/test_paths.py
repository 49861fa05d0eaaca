"""What a receiver teaches outlives kill -9, is shown, and is taken back by an operator with a reason."""

import json
import random
import smtplib
import subprocess

from load.ledger import message
from servers.figaro import Figaro, binary
from servers.process import wait_until
from servers.receiver import Receiver


def send(figaro, identifier):
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=20) as client:
        client.sendmail("author@customer.example", ["reader@sink.example"],
                        message(identifier, 900, random.Random(identifier)))


def run(figaro, *words):
    done = subprocess.run([binary(), *words, "--config", figaro.config], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def sites(figaro):
    return [json.loads(line) for line in figaro.command("site", "list", "--json").splitlines()]


def refused(figaro):
    """Sources that the receiver refused, as the relay knows it."""
    return sum((each.get("memory") or {}).get("refused_sources", 0) for each in sites(figaro))


def refused_in_file(figaro):
    done = subprocess.run(["sqlite3", "-readonly", figaro.spool / "paths.sqlite",
                           "SELECT count(*) FROM memory WHERE kind = 1"], capture_output=True, text=True, timeout=20)
    return int(done.stdout or 0)


def test_refusals_outlive_a_kill_and_are_forgotten_with_a_reason(folder, started):
    refusal = "rcpt=550 5.7.1 Service unavailable; client blocked using zen.blocklist.example"
    receiver = started(Receiver(folder / "receiver", "--reply", refusal))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    send(figaro, "first")
    wait_until(lambda: refused(figaro) == 4, 20, "four refused sources, the budget of a message")
    wait_until(lambda: refused_in_file(figaro) == 4, 10, "four rows in the file")
    figaro.kill()
    figaro.start()
    assert refused(figaro) == 4
    name = next(each["name"] for each in sites(figaro) if each.get("memory"))
    code, said = run(figaro, "site", "show", name)
    assert code == 0 and "cause source, level 1" in said and "blocked using zen" in said, said
    source = next(line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("refused "))
    code, said = run(figaro, "ip", "show", source)
    assert code == 0 and name in said and "level 1" in said, said
    code, said = run(figaro, "ip", "forgive", source, "--site", name, "--reason", "delisted")
    assert code == 0 and "1 source forgiven" in said, said
    assert refused(figaro) == 3
    code, said = run(figaro, "site", "forget", name, "--reason", "they lifted it")
    assert code == 0 and "forgot 3 refused" in said, said
    assert refused(figaro) == 0
    wait_until(lambda: refused_in_file(figaro) == 0, 10, "no rows in the file")
    code, said = run(figaro, "site", "forget", "nobody.example", "--reason", "test")
    assert code == 1 and "nothing is known" in said, said


def test_a_damaged_file_costs_memory_and_no_mail(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    figaro.kill()
    for end in ("", "-wal", "-shm"):
        path = figaro.spool / f"paths.sqlite{end}"
        if path.exists():
            path.write_bytes(b"this is no database " * 500)
    figaro.start()
    send(figaro, "after")
    wait_until(lambda: "after" in receiver.record.by_id(), 20, "the message")
    assert (figaro.spool / "paths.sqlite.unreadable").exists()
