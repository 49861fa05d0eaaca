"""Backup of the spool under load, its restore, and that every message of the backup ends once."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time

from load.ledger import Load
from load.spool import fill
from servers.figaro import Figaro, binary
from servers.process import wait_until
from servers.receiver import Receiver
from test_audit import audit, send_large
from test_operating import fails, send


def run(*words):
    done = subprocess.run([str(word) for word in (binary(), *words)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def names(folder):
    return sorted(each.name for each in folder.iterdir())


def full(folder, started, *options):
    receiver = started(Receiver(folder / "receiver", *options))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={
        "delivery": {"schedule": ["6s", "2s", "2s", "1h"], "max_age": "1d"}}))
    return receiver, figaro.start()


def test_what_was_backed_up_under_load_ends_once_after_a_restore(folder, started):
    # Every message waits 6 s, so that hundreds are in the queue at every moment, large ones among them.
    receiver, figaro = full(folder, started, "--greylist", "6")
    load = started(Load(folder, figaro.port, sessions=6, seconds=9, pause=0.02))
    time.sleep(4)
    before = set(load.taken())
    code, said = run("backup", "--config", figaro.config, "--to", folder / "backup")
    assert code == 0, said
    print(said)
    backup = folder / "backup"
    assert {"backup.json", "queue.sqlite", "history.sqlite", "content"} <= set(names(backup))
    assert not (folder / "backup.partial").exists()
    assert "unfinished" not in names(backup) and "control.sock" not in names(backup) and "lock" not in names(backup)
    # A second name for the same file, not a copy: it costs nothing.
    contents = names(backup / "content")
    assert contents and any((backup / "content" / name).stat().st_nlink >= 1 for name in contents)
    code, findings, summary = audit(None, spool=backup)
    assert summary["messages_in_store"] > 50 and not summary["findings"], (findings, summary)
    figaro.kill()
    load.stop()
    delivered = set(receiver.record.by_id())
    shutil.move(figaro.spool, folder / "broken")
    code, said = run("restore", "--config", figaro.config, "--from", backup)
    assert code == 0 and "sent again" in said, said
    code, findings, summary = audit(figaro)
    assert not summary["findings"], (findings, summary)
    figaro.start()
    waiting = summary["recipients_waiting"]
    wait_until(lambda: before <= set(receiver.record.by_id()), 60, "all that was accepted before the backup")
    wait_until(lambda: audit(figaro, "--settle", "1s")[2]["recipients_waiting"] == 0, 60, "and nothing waits")
    again = {name: len(found) for name, found in receiver.record.by_id().items() if len(found) > 1}
    # Twice only what was delivered after the backup had been made, as the restore says.
    assert set(again) <= delivered and all(count == 2 for count in again.values()), again
    print(f"{len(before)} before the backup, {waiting} restored, {len(again)} sent again")
    code, findings, summary = audit(figaro, "--settle", "1s")
    assert set(summary["findings"]) <= {"ended twice"}, (findings, summary)


def test_a_backup_without_a_relay_and_its_restore_bring_the_same_back(folder, started):
    receiver, figaro = full(folder, started, "--reply", "rcpt=452 4.2.2 Mailbox full")
    identifiers = [send(figaro.port, f"kept{each}") for each in range(3)] + [send_large(figaro.port, "kept3")]
    for identifier in identifiers:
        wait_until(lambda: "Mailbox full" in figaro.command("trace", identifier), 20, "tried")
    (figaro.spool / "settings.json").write_text("{}")
    assert figaro.stop() == 0
    # What is only a hint costs no backup when it is damaged.
    (figaro.spool / "paths.sqlite").write_text("no database")
    code, said = run("backup", "--config", figaro.config, "--to", folder / "backup")
    assert code == 0, said
    assert not (folder / "backup" / "paths.sqlite").exists()
    owner = figaro.spool.stat().st_uid
    shutil.rmtree(figaro.spool)
    code, said = run("restore", "--config", figaro.config, "--from", folder / "backup")
    assert code == 0, said
    assert (figaro.spool / "settings.json").read_text() == "{}", "an operator's settings come along"
    assert figaro.spool.stat().st_uid == owner
    figaro.start()
    listed = figaro.command("queue", "list")
    for identifier in identifiers:
        assert identifier in listed and figaro.trace(identifier)[0]["event"] == "accepted"
    code, findings, _ = audit(figaro, "--settle", "1s")
    assert (code, findings) == (0, {}), findings


def test_a_restored_spool_belongs_to_the_relays_user(folder, started):
    receiver = started(Receiver(folder / "receiver", "--reply", "rcpt=452 4.2.2 Mailbox full"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={"user": "nobody"}))
    figaro.start()
    identifier = send_large(figaro.port, "mine1")
    wait_until(lambda: "Mailbox full" in figaro.command("trace", identifier), 20, "tried")
    # Reading a running relay's spool as root leaves nothing that the relay could not write.
    audit(figaro, "--settle", "0s")
    code, said = run("backup", "--config", figaro.config, "--to", folder / "backup")
    assert code == 0, said
    assert {os.stat(each).st_uid for each in figaro.spool.iterdir()} == {65534}
    assert figaro.stop() == 0
    audit(figaro)
    assert {os.stat(each).st_uid for each in figaro.spool.iterdir()} == {65534}
    shutil.rmtree(figaro.spool)
    code, said = run("restore", "--config", figaro.config, "--from", folder / "backup")
    assert code == 0, said
    figaro.start()
    assert identifier in figaro.command("queue", "list")


def test_nothing_is_overwritten_and_nothing_half_is_taken_for_whole(folder, started):
    receiver, figaro = full(folder, started, "--reply", "rcpt=452 4.2.2 Mailbox full")
    send(figaro.port, "one1")
    backup = folder / "backup"
    assert run("backup", "--config", figaro.config, "--to", backup)[0] == 0
    code, said = run("backup", "--config", figaro.config, "--to", backup)
    assert code == 73 and "there already" in said
    # One that was cut off is begun anew; a folder of somebody else's is left alone.
    (folder / "second.partial").mkdir()
    (folder / "second.partial" / "mine").write_text("precious")
    code, said = run("backup", "--config", figaro.config, "--to", folder / "second")
    assert code == 73 and (folder / "second.partial" / "mine").exists(), said
    (folder / "second.partial" / "unfinished").write_text("")
    assert run("backup", "--config", figaro.config, "--to", folder / "second")[0] == 0
    # Into a running relay's spool, or one with mail in it, nothing is restored.
    code, said = run("restore", "--config", figaro.config, "--from", backup)
    assert code == 73 and "in use" in said, said
    assert figaro.stop() == 0
    code, said = run("restore", "--config", figaro.config, "--from", backup)
    assert code == 73 and "not empty" in said, said
    (folder / "second" / "backup.json").unlink()
    code, said = run("restore", "--spool", folder / "new", "--from", folder / "second")
    assert code == 66 and "no complete backup" in said, said
    # Cut off in the middle: no relay starts there, and the same command finishes it.
    shutil.rmtree(figaro.spool)
    assert run("restore", "--config", figaro.config, "--from", backup)[0] == 0
    (figaro.spool / "queue.sqlite").unlink()
    (figaro.spool / "restoring").write_text("")
    code, said = fails(figaro, "serve")
    assert "restore" in said, said
    assert run("restore", "--config", figaro.config, "--from", backup)[0] == 0
    figaro.start()
    assert "sink.example" in figaro.command("queue", "list")


def test_a_killed_backup_leaves_nothing_with_its_name(folder, started):
    receiver, figaro = full(folder, started, "--greylist", "60")
    load = started(Load(folder, figaro.port, sessions=10, seconds=4))
    load.wait(60)
    for delay in (0.01, 0.03, 0.06, 0.1, 0.2):
        target = folder / f"cut{delay}"
        child = subprocess.Popen([binary(), "backup", "--config", figaro.config, "--to", target],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        child.kill()
        child.wait(10)
        if target.exists():
            assert audit(None, spool=target)[0] == 0, "what has the name is whole"
        code, said = run("backup", "--config", figaro.config, "--to", folder / f"cut{delay}-again")
        assert code == 0, said
        if not target.exists():
            assert run("backup", "--config", figaro.config, "--to", target)[0] == 0
        assert audit(None, spool=target)[0] == 0


def states(figaro):
    """How many works are in which state, and every message's id."""
    entries = [json.loads(line) for line in figaro.command("queue", "list", "--json").splitlines()]
    return [part["state"] for each in entries for part in each["waiting"]], {each["id"] for each in entries}


def test_a_restore_that_holds_sends_nothing_before_somebody_looked(folder, started):
    receiver, figaro = full(folder, started, "--greylist", "4")
    before = [send(figaro.port, f"held{each}") for each in range(3)] + [send_large(figaro.port, "held3")]
    assert run("backup", "--config", figaro.config, "--to", folder / "backup")[0] == 0
    # All of it is delivered after the backup was made: whoever sends it again sends it twice.
    wait_until(lambda: len(receiver.record.by_id()) == 4, 40, "it is delivered")
    figaro.kill()
    shutil.move(figaro.spool, folder / "broken")
    code, said = run("restore", "--config", figaro.config, "--from", folder / "backup", "--reason", "which came?")
    assert code == 64 and "--hold" in said, said
    code, said = run("restore", "--config", figaro.config, "--from", folder / "backup", "--hold", "--reason",
                     "which came?")
    assert code == 0 and "held: 4 messages, 4 recipients" in said, said
    figaro.start()
    fresh = send(figaro.port, "new1")
    wait_until(lambda: "new1" in receiver.record.by_id(), 40, "new mail flows")
    found, identifiers = states(figaro)
    assert found == ["held"] * 4 and identifiers == set(before), (found, identifiers, fresh)
    for identifier in before:
        held = [each for each in figaro.trace(identifier) if each["event"] == "held"]
        assert len(held) == 1 and held[0]["reason"] == "which came?" and f"uid {os.getuid()}" in held[0]["by"], held
    assert {len(copies) for copies in receiver.record.by_id().values()} == {1}, "nothing came twice"
    # Three of them are known to have come; the last one goes again because somebody says so.
    figaro.command("queue", "delete", *before[:3], "--reason", "it came before the crash")
    figaro.command("queue", "release", "--state", "held", "--reason", "not sure about this one")
    wait_until(lambda: len(receiver.record.by_id()["held3"]) == 2, 40, "the released one is sent")
    wait_until(lambda: not states(figaro)[0], 20, "nothing waits")
    copies = {name: len(found) for name, found in receiver.record.by_id().items()}
    assert copies == {"held0": 1, "held1": 1, "held2": 1, "held3": 2, "new1": 1}
    code, findings, summary = audit(figaro, "--settle", "1s")
    assert (code, findings) == (0, {}), findings


def test_a_restore_that_is_killed_while_it_holds_is_done_again(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    count = 10_000
    fill(figaro.spool, count, 50, "sink.example", due=(-60, -1))
    assert run("backup", "--config", figaro.config, "--to", folder / "backup")[0] == 0
    words = ["restore", "--config", figaro.config, "--from", folder / "backup", "--hold"]
    shutil.rmtree(figaro.spool)
    start = time.monotonic()
    code, said = run(*words)
    whole = time.monotonic() - start
    assert code == 0 and f"held: {count} messages" in said, said
    cut = 0
    for part in (0.1, 0.3, 0.5, 0.65, 0.8, 0.9, 1.0):
        shutil.rmtree(figaro.spool)
        child = subprocess.Popen([binary(), *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(part * whole)
        child.kill()
        child.wait(10)
        if (figaro.spool / "restoring").exists():
            cut += 1
            code, said = fails(figaro, "serve")
            assert code == 1 and "restore" in said, said
            code, said = run(*words)
            assert code == 0 and f"held: {count} messages" in said, (part, said)
        elif not (figaro.spool / "queue.sqlite").exists():
            # It had not begun.
            assert run(*words)[0] == 0
        with contextlib.closing(sqlite3.connect(figaro.spool / "queue.sqlite")) as database:
            assert database.execute("SELECT count(*), sum(held) FROM waiting").fetchone() == (count, count), part
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert cut >= 3, "most of them were cut off"
    figaro.start()
    time.sleep(2)
    assert not receiver.record.messages(), "nothing is sent"
    assert audit(figaro)[1] == {}
