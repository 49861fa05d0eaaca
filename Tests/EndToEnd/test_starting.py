"""Starting wrong: each way ends with an exit code and words that say what to do, before any mail is touched.

The table is that of Guides/StartingWrong.md; a row there without a test here is an error, and the other way round.
"""

import contextlib
import os
import re
import shutil
import smtplib
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

from servers.driver import certificate
from servers.figaro import Figaro, binary, root
from servers.process import free_port, wait_until
from servers.receiver import Receiver
from test_operating import send

guide = root / "Sources/Figaro/Figaro.docc/Guides/StartingWrong.md"


class Attempt:
    """A relay that is about to be started wrong, and what stands in its way."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        self.figaro = Figaro(folder / "figaro", 2526)
        self.before, self.user, self.wrapper = [], None, []

    def settings(self, **changes):
        for key, value in changes.items():
            self.figaro.settings[key] = value
        self.figaro.write_configuration()

    def listen(self, **changes):
        self.figaro.settings["listeners"][0].update(changes)
        self.figaro.write_configuration()

    def running(self):
        """Another relay with the same spool."""
        other = Figaro(self.folder / "figaro", 2526)
        self.stack.callback(other.stop)
        other.start()
        return other

    def spool_of_before(self):
        self.figaro.start()
        assert self.figaro.stop() == 0

    def run(self):
        words = [*self.wrapper, binary(), "serve", "--config", self.figaro.config]
        return subprocess.run([str(each) for each in words], capture_output=True, text=True, timeout=60)


def port_taken(it):
    taken = it.stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    it.listen(port=taken.getsockname()[1])


def metrics_port_taken(it):
    taken = it.stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    it.settings(metrics={"port": taken.getsockname()[1]})


def low_port(it):
    it.listen(address="127.66.1.1", port=25)
    os.chown(it.figaro.folder, 65534, 65534)
    it.folder.chmod(0o755)
    # A network of its own, with the kernel's own limit whatever this machine's is.
    it.wrapper = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", "setpriv",
                  "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def foreign_address(it):
    it.listen(address="198.51.100.77")


def spool_not_writable(it):
    (it.figaro.folder / "plain").write_text("a file, no folder")
    it.settings(spool="plain/spool")


def spool_of_another_user(it):
    it.figaro.spool.mkdir()
    os.chown(it.figaro.spool, 1, 1)
    it.settings(user="nobody")


def two_relays(it):
    it.running()
    it.listen(port=free_port())
    it.settings(control="other.sock")


def same_control_socket(it):
    it.running()
    it.listen(port=free_port())


def disk_full(it):
    it.figaro.spool.mkdir()
    it.wrapper = ["unshare", "-m", "sh", "-c",
                  f"mount -t tmpfs -o size=256k tmpfs '{it.figaro.spool}' && "
                  f"head -c 220k /dev/zero >'{it.figaro.spool}/other'; exec \"$@\"", "sh"]


def newer_spool(it):
    it.spool_of_before()
    with contextlib.closing(sqlite3.connect(it.figaro.spool / "queue.sqlite")) as database:
        database.execute("PRAGMA user_version = 999")


def not_a_spool(it):
    it.figaro.spool.mkdir()
    (it.figaro.spool / "queue.sqlite").write_text("not a database\n" * 1000)


def half_restored(it):
    it.figaro.spool.mkdir()
    (it.figaro.spool / "restoring").write_text("")


def unknown_user(it):
    it.settings(user="no-such-user-here")


def with_certificate(it, change):
    folder = it.folder / "tls"
    folder.mkdir()
    chain, key = certificate(folder, "relay.example")
    change(folder, chain, key)
    it.listen(tls="starttls")
    it.settings(tls={"certificates": [{"certificate": str(chain), "key": str(key)}]})


def certificate_missing(it):
    with_certificate(it, lambda folder, chain, key: chain.unlink())


def certificate_expired(it):
    def expire(folder, chain, key):
        subprocess.run(
            ["openssl", "x509", "-req", "-in", request(folder, key), "-signkey", key, "-out", chain, "-days", "-1"],
            check=True, capture_output=True, timeout=60)
    with_certificate(it, expire)


def request(folder, key):
    path = folder / "request.pem"
    subprocess.run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=relay.example", "-out", path], check=True,
                   capture_output=True, timeout=60)
    return path


def key_mismatch(it):
    def other(folder, chain, key):
        (folder / "other").mkdir()
        shutil.copy(certificate(folder / "other", "relay.example")[1], key)
    with_certificate(it, other)


def no_certificate(it):
    it.listen(tls="starttls")


def no_source(it):
    it.figaro.write_ipmap({"ranges": {"far": {"cidr": "198.51.100.8/31", "ehlo": "o{4}.relay.example"}},
                           "pools": {"main": {"members": ["far"]}}, "routes": {"default": {"steps": ["pool main/2"]}}})


def bad_yaml(it):
    it.figaro.config.write_text("hostname: relay.example\nlisteners: [\n")


def unknown_key(it):
    it.settings(hostnmae="relay.example")


def file_missing(it):
    it.figaro.config.unlink()


def bad_map(it):
    it.figaro.write_ipmap({"ranges": {"loop": {"cidr": "127.77.0.0/33"}}})


# What is wrong: exit code, and words that have to be said. The first words of a row stand in the guide.
cases = {
    "a port is taken": (port_taken, 1, "cannot listen for mail on 127.0.0.1 port", "ss -ltnp"),
    "the port of metrics is taken": (metrics_port_taken, 1, "cannot listen for metrics on 127.0.0.1 port"),
    "no permission for a port below 1024": (low_port, 1, "127.66.1.1 port 25", "CAP_NET_BIND_SERVICE"),
    "the machine lacks the listener's address": (foreign_address, 78, "listeners[0].address", "198.51.100.77"),
    "the spool cannot be written": (spool_not_writable, 78, "spool: ", "plain/spool cannot be"),
    "the spool is another user's": (spool_of_another_user, 78, "spool:", "belongs to user id 1, not to nobody"),
    "a second relay on the same spool": (two_relays, 1, "is in use by another process"),
    "a second relay with the same control socket": (same_control_socket, 1, "another relay is running on"),
    "the disk is full": (disk_full, 1, "is full", "make room"),
    "the spool is a later version's": (newer_spool, 1, "written by a later version of figaro"),
    "the queue's file is damaged": (not_a_spool, 1, "queue.sqlite"),
    "a restore was cut off": (half_restored, 1, "run `figaro restore` again"),
    "there is no such user": (unknown_user, 78, "user: there is no user “no-such-user-here”"),
    "a certificate's file is missing": (certificate_missing, 78, "tls.certificates[0].certificate", "cannot be read"),
    "a certificate has expired": (certificate_expired, 78, "tls.certificates[0].certificate", "has expired at"),
    "a key is another certificate's": (key_mismatch, 78, "tls.certificates[0]", "does not fit the certificate"),
    "TLS without a certificate": (no_certificate, 78, "names no certificates"),
    "no source can be bound": (no_source, 1, "none of the 2 sources can be bound", "figaro ipmap check"),
    "the file is not YAML": (bad_yaml, 78, "figaro.yaml:"),
    "a key is misspelt": (unknown_key, 78, "did you mean “hostname”"),
    "the file is missing": (file_missing, 78, "figaro.yaml"),
    "an ip map is wrong": (bad_map, 78, "test.yaml", "cidr"),
}


@pytest.mark.parametrize("name", cases)
def test_starting_wrong(name, folder):
    prepare, code, *words = cases[name]
    with contextlib.ExitStack() as stack:
        it = Attempt(folder, stack)
        prepare(it)
        done = it.run()
    said = done.stdout + done.stderr
    print(said)
    assert done.returncode == code, said
    for word in words:
        assert word in said, said
    # The reason stands at the end, not somewhere above a screen of log.
    assert any(word in "\n".join(done.stderr.splitlines()[-3:]) for word in words), said


def test_the_guide_has_every_row_of_the_table():
    rows = re.findall(r"^\| ([^|]+?) +\| (\d+) +\|", guide.read_text(), re.M)
    assert {name: int(code) for name, code in rows} == {name: case[1] for name, case in cases.items()}


def test_a_taken_port_is_found_before_anything_is_delivered(folder, started):
    """Mail of the spool must not go out by a process that is about to find out that it is one too many."""
    receiver = started(Receiver(folder / "receiver", "--greylist", "3"))
    figaro = Figaro(folder / "figaro", receiver.port, configuration={"delivery": {"schedule": ["1s", "1s"]}})
    started(figaro.start())
    send(figaro.port, "early1")
    figaro.kill()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", figaro.port))
        taken.listen()
        time.sleep(3)
        seen = len(receiver.record.refresh())
        done = subprocess.run(
            [binary(), "serve", "--config", figaro.config], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and str(figaro.port) in done.stderr
        assert len(receiver.record.refresh()) == seen, "nobody was connected to"
    figaro.start()
    wait_until(lambda: "early1" in receiver.record.by_id(), 20, "and then it is delivered")


def test_a_graceful_restart_loses_no_sessions_mail(folder, started):
    """SIGTERM while many are inside DATA: each of them gets 250 and arrives, or gets no 250 (421, or the end)."""
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    answers, inside = {}, threading.Barrier(25)

    def customer(number):
        """Half of them finish within the grace, the other half hang in the middle of a line."""
        client = smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=40)
        client.ehlo()
        client.mail("author@customer.example")
        client.rcpt("reader@sink.example")
        assert client.docmd("DATA")[0] == 354
        client.send(f"Subject: x\r\nX-Test-ID: term{number}\r\n\r\nfirst half\r\n")
        inside.wait(30)
        time.sleep(0.5 + number * 0.05)
        try:
            if number % 2:
                client.send("second half\r\n.\r\n")
            answers[number] = client.getreply()[0]
        except (smtplib.SMTPServerDisconnected, OSError):
            answers[number] = None
        finally:
            client.close()

    threads = [threading.Thread(target=customer, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    inside.wait(30)
    assert figaro.stop() == 0
    for thread in threads:
        thread.join(60)
    assert len(answers) == 24 and {answers[number] for number in range(1, 24, 2)} == {250}, answers
    assert {answers[number] for number in range(0, 24, 2)} <= {421, None}, answers
    figaro.start()
    taken = {f"term{number}" for number, code in answers.items() if code == 250}
    wait_until(lambda: taken <= set(receiver.record.by_id()), 30, "what got 250 arrives")
    assert set(receiver.record.by_id()) == taken, "and nothing else does"
    assert all(len(found) == 1 for found in receiver.record.by_id().values())
