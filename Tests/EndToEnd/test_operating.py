"""What an operator does with the relay: start it, drop its privileges, ask it, get its configuration wrong."""

import json
import os
import pathlib
import random
import signal
import smtplib
import socket
import subprocess

from load.ledger import message
from servers.figaro import Figaro, binary
from servers.process import Process, free_port, wait_until
from servers.receiver import Receiver


def send(port, identifier, host="127.0.0.1", to="reader@sink.example"):
    """Returns the id that the relay gave."""
    with smtplib.SMTP(host, port, "customer.example", timeout=20) as client:
        client.ehlo()
        client.mail("author@customer.example")
        client.rcpt(to)
        code, text = client.data(message(identifier, 900, random.Random(identifier)))
        assert code == 250, (code, text)
        return text.decode().split()[-1]


def fails(figaro, *words):
    """The exit code and the words of a command that has to fail."""
    done = subprocess.run([binary(), *words, "--config", figaro.config], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0, done.stdout
    return done.returncode, done.stderr + done.stdout


def test_without_a_configuration_it_takes_mail_of_this_machine(folder, started):
    port = free_port()
    environment = {"FIGARO_HOME": str(folder / "home")}
    relay = started(Process("figaro", [binary(), "serve", "--port", port], folder, env=environment))
    relay.wait_for_port(port)
    identifier = send(port, "first1")
    done = subprocess.run([binary(), "queue", "show", identifier], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})
    traced = subprocess.run([binary(), "trace", identifier], capture_output=True, text=True, timeout=60,
                            env={**os.environ, **environment})
    assert "sink.example" in done.stdout + traced.stdout


def test_started_as_root_it_binds_a_low_port_and_then_is_someone_else(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = Figaro(folder / "figaro", receiver.port, configuration={
        "user": "nobody", "listeners": [{"address": "127.44.0.1", "port": 25, "tls": "none"},
                                        {"address": "127.0.0.1", "port": 0, "tls": "none"}]})
    figaro.settings["listeners"][1]["port"] = figaro.port
    figaro.write_configuration()
    started(figaro.start())
    status = pathlib.Path(f"/proc/{figaro.pid}/status").read_text()
    identities = {line.split()[0]: line.split()[1:] for line in status.splitlines() if line.startswith(("Uid", "Gid"))}
    assert "0" not in identities["Uid:"] + identities["Gid:"], identities
    groups = next(line for line in status.splitlines() if line.startswith("Groups:")).split()[1:]
    assert "0" not in groups
    send(25, "low1", "127.44.0.1")
    wait_until(lambda: "low1" in receiver.record.by_id(), 20, "mail flows without privileges")
    limits = pathlib.Path(f"/proc/{figaro.pid}/limits").read_text()
    soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5]
    assert soft == hard, "its file limit was raised"


def test_the_control_socket_answers_its_owner_only(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    figaro.command("queue", "list")
    stranger = subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", binary(), "queue", "list", "--socket",
         figaro.spool / "control.sock"], capture_output=True, text=True, timeout=60)
    assert stranger.returncode != 0
    assert "permission" in (stranger.stderr + stranger.stdout).lower(), stranger.stderr


def test_what_waits_is_listed_with_its_next_event_and_its_story(folder, started):
    receiver = started(Receiver(folder / "receiver", "--reply", "rcpt=452 4.2.2 Mailbox full"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={"delivery": {"schedule": ["1h"]}}))
    figaro.start()
    identifier = send(figaro.port, "full1")
    wait_until(lambda: "Mailbox full" in figaro.command("trace", identifier), 20, "the attempt is in the history")
    assert identifier in figaro.command("queue", "list")
    listed = [json.loads(line) for line in figaro.command("queue", "list", "--json").splitlines()]
    assert identifier in json.dumps(listed)
    shown = figaro.command("queue", "show", identifier)
    assert "sink.example" in shown
    events = figaro.trace(identifier)
    assert events[-1]["decision"] == "later" and events[-1]["next"] and events[-1]["why"], events[-1]
    # It survives a restart with its time and its history.
    assert figaro.stop() == 0
    figaro.start()
    assert identifier in figaro.command("queue", "list")
    assert figaro.trace(identifier) == events
    code, words = fails(figaro, "trace", "0000000000000")
    assert code == 1 and words


def test_a_wrong_configuration_names_file_line_and_key(folder):
    figaro = Figaro(folder / "figaro", 2526)
    good = figaro.command("config", "check")
    figaro.config.write_text(figaro.config.read_text().replace('"hostname"', '"hostnmae"'))
    for words in (("config", "check"), ("serve",)):
        code, said = fails(figaro, *words)
        assert code == 78 and "hostnmae" in said and "figaro.yaml:2" in said, (good, said)
    figaro.write_configuration()
    figaro.write_ipmap({"ranges": {"loop": {"cidr": "127.77.0.0/33"}}})
    code, said = fails(figaro, "ipmap", "check")
    assert code == 78 and "cidr" in said and "test.yaml" in said, said


def test_the_map_is_shown_as_it_was_understood(folder):
    figaro = Figaro(folder / "figaro", 2526)
    shown = figaro.command("ipmap", "show")
    assert "127.77.0.1" in shown and "127.77.0.254" in shown and "out-254.relay.example" in shown
    assert "127.77.0.255" not in shown
    figaro.command("ipmap", "check")


def test_a_broken_file_at_sighup_leaves_the_relay_as_it_was(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    wait_until(lambda: "event=ready" in figaro.process.tail(), 20, "it is ready")
    figaro.config.write_text("listeners: [")
    figaro.process.signal(signal.SIGHUP)
    wait_until(lambda: "figaro.yaml" in figaro.process.tail(5), 10, "the log names the file")
    send(figaro.port, "still1")
    wait_until(lambda: "still1" in receiver.record.by_id(), 20, "mail still flows")


def test_the_service_manager_is_told_when_it_answers_and_when_it_ends(folder, started):
    for name in (str(folder / "notify"), f"\0figaro-{os.getpid()}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(name)
            manager.settimeout(30)
            figaro = started(Figaro(folder / f"figaro{len(name)}", free_port(),
                                    env={"NOTIFY_SOCKET": name.replace("\0", "@")}))
            figaro.start()
            assert manager.recv(100) == b"READY=1"
            assert figaro.stop() == 0
            assert manager.recv(100) == b"STOPPING=1"
    # A manager that is gone is no reason not to run.
    figaro = started(Figaro(folder / "alone", free_port(), env={"NOTIFY_SOCKET": str(folder / "nobody")}))
    figaro.start()
    assert figaro.stop() == 0


def test_a_taken_port_and_a_spool_that_cannot_be_written_are_told(folder, started):
    taken = started(Receiver(folder / "receiver"))
    figaro = Figaro(folder / "figaro", taken.port)
    figaro.settings["listeners"][0]["port"] = taken.port
    figaro.write_configuration()
    code, said = fails(figaro, "serve")
    assert str(taken.port) in said and code not in (0, -6, -11), said
    figaro.settings["spool"] = "/proc/nowhere"
    figaro.settings["listeners"][0]["port"] = free_port()
    figaro.write_configuration()
    code, said = fails(figaro, "serve")
    assert "/proc/nowhere" in said and code not in (0, -6, -11), said
