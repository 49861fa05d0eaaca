"""fsync stands between a message and its 250; without it there is no 250."""

import random
import re
import smtplib
import time

import pytest

from load.ledger import message
from servers.disk import ForgetfulDisk
from servers.figaro import Figaro
from servers.process import wait_until
from servers.receiver import Receiver


def send(port, identifier, size):
    with smtplib.SMTP("127.0.0.1", port, "customer.example", timeout=30) as client:
        return client.sendmail("author@customer.example", ["reader@sink.example"],
                               message(identifier, size, random.Random(identifier)))


_call = re.compile(r"^(\d+) +(?:(\w+)\((\d+)(?:<([^>]*)>)?|<\.\.\. (\w+) resumed>)")


class Calls:
    """The system calls of one strace output, in the order in which they began, with the line where each one ended."""

    def __init__(self, text):
        self.all, open_calls = [], {}
        for number, line in enumerate(text.splitlines()):
            found = _call.match(line)
            if not found:
                continue
            thread, name, _, path, resumed = found.groups()
            if resumed:
                call = open_calls.pop(thread, None)
                if call:
                    call["end"], call["result"] = number, line.rpartition("= ")[2]
                continue
            call = {"name": name, "path": path or "", "text": line, "begin": number, "end": number,
                    "result": line.rpartition("= ")[2]}
            if "<unfinished ...>" in line:
                call["end"], call["result"] = None, ""
                open_calls[thread] = call
            self.all.append(call)

    def writes(self, token, folder):
        return [call for call in self.all if "write" in call["name"] and token in call["text"]
                and call["path"].startswith(folder)]

    def synced(self, path, after, before):
        """Whether an fsync or fdatasync of it began after the one line and returned 0 before the other."""
        return any(call["name"] in ("fsync", "fdatasync") and call["path"] == path and call["begin"] > after
                   and call["end"] is not None and call["end"] < before and call["result"].startswith("0")
                   for call in self.all)


@pytest.mark.parametrize("size", [3_000, 150_000], ids=["inline", "in a file"])
def test_an_fsync_completes_between_the_last_write_of_a_message_and_its_250(folder, started, size):
    receiver = started(Receiver(folder / "receiver"))
    log = folder / "strace"
    calls = "write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,fsync,fdatasync,rename,renameat,renameat2"
    figaro = started(Figaro(folder / "figaro", receiver.port, wrapper=[
        "strace", "-f", "-y", "--seccomp-bpf", "-s", "70000", "-e", f"trace={calls}", "-o", log]))
    figaro.start(60)
    count = 10
    for number in range(count):
        send(figaro.port, f"order{number:03}x", size)
    wait_until(lambda: len(receiver.record.messages()) == count, 30, "all arrive")
    figaro.stop()
    seen, spool = Calls(log.read_text(errors="replace")), str(figaro.spool)
    replies = [call for call in seen.all if call["name"] in ("write", "writev", "sendto", "sendmsg")
               and "250 2.0.0 Ok: queued as" in call["text"]]
    for number in range(count):
        writes = [call for call in seen.writes(f"order{number:03}x", spool) if "history" not in call["path"]]
        assert writes, "the message was written to the spool"
        first = writes[0]["begin"]
        reply = next(call for call in replies if call["begin"] > first)
        before = [call for call in writes if call["begin"] < reply["begin"]]
        last = max(before, key=lambda call: call["begin"])
        if size <= 65536:
            # Its delivery may be quicker than its 250, and be written as well by then, on the same page of the log.
            assert any(seen.synced(call["path"], call["begin"], reply["begin"]) for call in before), f"message {number}"
        else:
            assert seen.synced(last["path"], last["begin"], reply["begin"]), f"message {number}: {last['path']}"
            folder_path = last["path"].rpartition("/")[0]
            assert seen.synced(folder_path, first, reply["begin"]), "the content folder was synced"
            assert seen.synced(f"{spool}/queue.sqlite-wal", last["end"], reply["begin"]), "the row was synced"


def test_when_fsync_fails_there_is_no_250_and_recovery_is_clean(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    disk = ForgetfulDisk(folder / "disk", folder / "figaro" / "spool")
    figaro = started(Figaro(folder / "figaro", receiver.port, env=disk.env))
    figaro.start()
    send(figaro.port, "before1", 2000)
    wait_until(lambda: "before1" in receiver.record.by_id(), 20, "the first arrives")

    disk.fail_syncs()
    refused = 0
    for number in range(5):
        try:
            send(figaro.port, f"during{number}", 2000)
        except smtplib.SMTPResponseException as error:
            assert 400 <= error.smtp_code < 500, error
            refused += 1
        except smtplib.SMTPSenderRefused as error:
            assert 400 <= error.smtp_code < 500, error
            refused += 1
        except (OSError, smtplib.SMTPException):
            refused += 1
    assert refused == 5, "nothing is accepted while fsync fails"

    disk.heal()
    time.sleep(0.5)
    if figaro.process.alive():
        figaro.kill()
    disk.cut_power()
    figaro.start(60)
    send(figaro.port, "after1", 2000)
    wait_until(lambda: "after1" in receiver.record.by_id(), 30, "mail flows again")
    arrived = receiver.record.by_id()
    assert len(arrived["before1"]) >= 1 and len(arrived["after1"]) == 1


def test_a_failed_fsync_is_not_trusted_when_the_next_one_works(folder, started):
    """One fsync fails and the disk is well again at once; what got 250 after that must survive a power cut."""
    receiver = started(Receiver(folder / "receiver", "--reply", "rcpt=451 4.3.0 Not yet"))
    disk = ForgetfulDisk(folder / "disk", folder / "figaro" / "spool")
    figaro = started(Figaro(folder / "figaro", receiver.port, env=disk.env,
                            configuration={"delivery": {"schedule": ["1s"]}}))
    figaro.start()
    disk.fail_syncs()
    with pytest.raises((OSError, smtplib.SMTPException)):
        send(figaro.port, "lost1", 2000)
    disk.heal()
    taken = []
    for number in range(40):
        if not figaro.process.alive():
            break
        try:
            send(figaro.port, f"again{number}", 2000)
            taken.append(f"again{number}")
        except (OSError, smtplib.SMTPException):
            time.sleep(0.1)
    if figaro.process.alive():
        figaro.kill()
    disk.cut_power()
    receiver.stop()
    willing = started(Receiver(folder / "willing", port=receiver.port))
    figaro.start(60)
    wait_until(lambda: all(each in willing.record.by_id() for each in taken), 30, f"{len(taken)} arrive")
    assert "lost1" not in willing.record.by_id() or len(willing.record.by_id()["lost1"]) == 1
