"""Steering over a /24 of loopback while mail flows: sources off and on, receivers suspended, files read again."""

import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import smtplib
import socket
import struct
import subprocess
import termios
import time

from load.ledger import message
from servers.figaro import Figaro, binary, range_of_254
from servers.process import free_port, wait_until
from servers.receiver import Receiver
from servers.unbound import Unbound


def send(figaro, identifier, recipient="reader@sink.example"):
    """Returns the id that the relay gave."""
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=20) as client:
        client.ehlo()
        client.mail("author@customer.example")
        client.rcpt(recipient)
        code, text = client.data(message(identifier, 900, random.Random(identifier)))
        assert code == 250, (code, text)
        return text.decode().split()[-1]


def several(figaro, prefix, count):
    for index in range(count):
        send(figaro, f"{prefix}{index}")


def run(figaro, *words):
    """Exit code and all that a command says."""
    done = subprocess.run([binary(), *words, "--config", figaro.config], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def listed(figaro, *words):
    return [json.loads(line) for line in figaro.command("ip", "list", *words, "--json").splitlines()]


def arrived(receiver, prefix, count, seconds=20):
    wait_until(lambda: sum(each.startswith(prefix) for each in receiver.record.by_id()) == count, seconds,
               f"{count} messages {prefix}")


def sources_of(receiver, prefix):
    """Addresses that messages of that name came from."""
    return {each["peer"] for name, found in receiver.record.by_id().items() if name.startswith(prefix)
            for each in (found if isinstance(found, list) else [found])}


def relay(folder, started, **options):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port, messages_per_session=1, **options))
    figaro.start()
    return receiver, figaro


def test_drained_sources_are_left_alone_until_their_time_is_over(folder, started):
    receiver, figaro = relay(folder, started)
    # All but four of the /24.
    said = figaro.command("ip", "drain", "127.77.0.0/25", "127.77.0.128/26", "127.77.0.192/27", "127.77.0.224/28",
                          "127.77.0.240/29", "127.77.0.248/31", "--reason", "listed, ticket 4711")
    assert "drained" in said
    several(figaro, "few", 30)
    arrived(receiver, "few", 30)
    left = {f"127.77.0.{number}" for number in range(250, 255)}
    assert sources_of(receiver, "few") <= left
    drained = listed(figaro, "--state", "draining")
    assert len(drained) == 249 and drained[0]["reason"] == "listed, ticket 4711"
    assert drained[0]["by"].startswith("root") and drained[0].get("until") is None and drained[0]["since"]
    assert sum(each["delivered"] for each in listed(figaro)) == 30
    wait_until(lambda: "ticket 4711" in figaro.process.tail(500), 5, "the log has who and why")

    # It outlives kill -9, and another order for a time goes over it.
    figaro.kill()
    figaro.start()
    assert len(listed(figaro, "--state", "draining")) == 249
    figaro.command("ip", "enable", "pool:main", "--reason", "delisted")
    figaro.command("ip", "disable", "main", "--reason", "a short look", "--for", "3s")
    assert len(listed(figaro, "--state", "disabled")) == 254 and listed(figaro)[0]["until"]
    figaro.kill()
    figaro.start()
    wait_until(lambda: not listed(figaro, "--state", "disabled"), 10, "they return by themselves")
    several(figaro, "back", 20)
    arrived(receiver, "back", 20)
    assert len(sources_of(receiver, "back")) > 4


def test_with_a_whole_pool_off_mail_waits_with_the_reason_and_goes_when_enabled(folder, started):
    receiver, figaro = relay(folder, started)
    figaro.command("ip", "disable", "loop", "--reason", "uplink is down")
    identifier = send(figaro, "wait1")
    wait_until(lambda: "uplink is down" in figaro.command("trace", identifier), 10, "the trace names the reason")
    waiting = [each for each in figaro.trace(identifier) if each["event"] == "waiting"]
    assert waiting and "every source of pool main is out of use" in waiting[-1]["reason"]
    assert identifier in figaro.command("queue", "list")
    time.sleep(1)
    assert not receiver.record.by_id()
    attempts = [each for each in figaro.trace(identifier) if each["event"] == "attempt"]
    assert len(attempts) <= 2, "no storm"
    # New mail after a restart waits as well.
    assert figaro.stop() == 0
    figaro.start()
    send(figaro, "wait2")
    explained = json.loads(figaro.command("ipmap", "explain", "--sender", "author@customer.example", "--recipient",
                                          "reader@sink.example", "--json"))
    assert explained["free"]["count"] == 0 and explained["others"][0]["count"] == 254
    assert "uplink is down" in explained["others"][0]["why"] and len(explained["others"][0]["sources"]) == 5
    figaro.command("ip", "enable", "loop", "--reason", "it is up")
    arrived(receiver, "wait", 2)
    assert "delivered" in figaro.command("trace", identifier)


def test_wrong_words_about_sources_say_what_to_do(folder, started):
    _, figaro = relay(folder, started)
    code, said = run(figaro, "ip", "drain", "127.77.0.5")
    assert code == 64 and "--reason" in said, said
    code, said = run(figaro, "ip", "drain", "lop", "--reason", "x")
    assert code == 1 and "did you mean “loop”" in said, said
    code, said = run(figaro, "ip", "drain", "203.0.113.9", "--reason", "x")
    assert code == 1 and "203.0.113.9" in said, said
    code, said = run(figaro, "ip", "disable", "loop-5", "--reason", "x", "--for", "2 hours")
    assert code == 64 and "2h" in said, said
    assert run(figaro, "ip", "drain", "loop-5", "--reason", " \t ")[0] == 1
    shown = figaro.command("ip", "show", "loop-5")
    assert "127.77.0.5" in shown and "out-5.relay.example" in shown and "active" in shown


def test_a_pool_is_not_left_with_less_than_it_needs(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port, ipmap={
        "ranges": {"loop": range_of_254()},
        "pools": {"main": {"members": ["loop"], "minimum_active": 200}},
        "sites": {"sink.example": {"host": "127.0.0.1", "port": receiver.port, "tls": "none"}}}))
    figaro.start()
    code, said = run(figaro, "ip", "drain", "127.77.0.0/25", "--reason", "half of it")
    assert code == 1 and "minimum_active is 200" in said and "--force" in said, said
    assert not listed(figaro, "--state", "draining")
    figaro.command("ip", "drain", "127.77.0.0/25", "--reason", "half of it", "--force")
    assert len(listed(figaro, "--state", "draining")) == 127


def test_every_source_is_tried_by_check(folder):
    figaro = Figaro(folder / "figaro", 2526, configuration={"dns": {"servers": [f"127.0.0.1:{free_port()}"],
                                                                    "timeout": "1s"}})
    assert "254 sources" in figaro.command("ip", "check")
    figaro.write_ipmap({"ranges": {"far": {"cidr": "203.0.113.8/30", "ehlo": "out-{4}.relay.example"}}})
    code, said = run(figaro, "ip", "check")
    assert code == 1 and said.count("cannot be bound") == 4, said
    code, said = run(figaro, "ip", "check", "far-1", "--dns", "--json")
    found = json.loads(said)
    assert code == 1 and found["checked"] == 1 and "PTR" in found["faults"][0]["dns"], said


def asked(folder, started, lists=()):
    """A relay with seven sources whose names a real DNS knows, some of them otherwise; their faults by address."""
    last = {number: f"127.77.9.{number}" for number in range(1, 8)}
    out = {number: f"out-{number}.relay.example" for number in last}
    pointers = {last[1]: [out[1]], last[3]: ["host-3.isp.example"], last[4]: [out[4]], last[5]: [out[5]],
                last[6]: ["other.relay.example", out[6].upper()], last[7]: [out[7]]}
    records = [*(f"out-{number} A {last[number]}" for number in (1, 2, 3, 6, 7)), "out-5 A 127.77.9.55"]
    # One list as it should be, one that has everything, one that no longer is a list, one that does not serve us.
    listing = [f"{'.'.join(reversed(address.split('.')))}.good A {code}"
               for address, code in (("127.0.0.2", "127.0.0.2"), (last[7], "127.0.0.4"), (last[1], "127.0.0.10"))]
    refusing = [f"{number}.0.0.127.refusing A 127.255.255.254" for number in (1, 2)]
    dns = started(Unbound(folder / "dns", "relay.example", [*records, *listing, *refusing], pointers=pointers,
                          below={"all": "127.0.0.2"}))
    figaro = Figaro(folder / "figaro", 2526, ipmap={
        "ranges": {"few": {"cidr": "127.77.9.0/29", "exclude": ["127.77.9.0"], "ehlo": "out-{4}.relay.example"}}},
        configuration={"dns": {"servers": [f"127.0.0.1:{dns.port}"], "timeout": "5s",
                               "block_lists": [f"{name}.relay.example" for name in lists]}})
    return figaro


def test_names_of_sources_are_checked_with_a_real_dns(folder, started):
    figaro = asked(folder, started)
    code, said = run(figaro, "ip", "check", "--dns", "--json")
    found = json.loads(said)
    faults = {each["address"].rpartition(".")[2]: each["dns"] for each in found["faults"]}
    assert code == 1 and found["checked"] == 7 and found["dns_asked"] and faults == {
        "2": "it has no PTR",
        "3": "its PTR is host-3.isp.example, not out-3.relay.example",
        "4": "out-4.relay.example has no address",
        "5": "out-5.relay.example leads to 127.77.9.55",
    }, said
    code, said = run(figaro, "ip", "check", "127.77.9.1", "127.77.9.6", "127.77.9.7", "--dns")
    assert code == 0 and "3 of them well" in said, said
    # What cannot be asked for is said, and is not good news.
    figaro.write_ipmap({"ranges": {"few": {"cidr": "127.77.9.1/32", "ehlo": "out-{4}.broken.relay.example"}}})
    code, said = run(figaro, "ip", "check", "--dns")
    assert code == 1 and "out-1.broken.relay.example cannot be asked for" in said, said


def test_sources_are_looked_for_on_block_lists(folder, started):
    figaro = asked(folder, started, lists=["good"])
    code, said = run(figaro, "ip", "check", "--dns", "--json")
    found = json.loads(said)
    faults = {each["address"].rpartition(".")[2]: each["lists"] for each in found["faults"] if each["lists"]}
    assert code == 1 and found["useless_lists"] == [] and faults == {
        "1": ["listed by good.relay.example (127.0.0.10)"], "7": ["listed by good.relay.example (127.0.0.4)"]}, said
    # Lists that say nothing that counts are named, and nobody is listed by them.
    figaro.settings["dns"]["block_lists"] = [f"{name}.relay.example" for name in ("all", "none", "refusing", "broken")]
    figaro.write_configuration()
    code, said = run(figaro, "ip", "check", "127.77.9.1", "--dns", "--json")
    found = json.loads(said)
    assert code == 1 and found["faults"] == [], said
    every, none, refusing, broken = found["useless_lists"]
    assert "lists everything" in every and "test entry 127.0.0.2" in none
    assert "refuses to say (127.255.255.254)" in refusing and "cannot be asked" in broken, said


def test_spf_covers_the_sources_or_says_which_not(folder, started):
    policies = {"out-1": "a -all", "out-2": "-all", "out-3": "ip4:127.77.9.0/29 -all", "out-4": "exists:%{i}.x -all"}
    dns = started(Unbound(
        folder / "dns", "relay.example",
        [*(f"out-{number} A 127.77.9.{number}" for number in range(1, 7)),
         *(f'{name} TXT "v=spf1 {policy}"' for name, policy in policies.items()),
         # Strings of one record are joined.
         '_spf TXT "v=spf1 include:low.relay.exa" "mple ~all"', '_mx TXT "v=spf1 mx -all"',
         "_mx MX 10 out-6.relay.example.",
         'low TXT "v=spf1 ip4:127.77.9.1 ip4:127.77.9.2/31 ip4:127.77.9.4/30 -all"', 'old TXT "v=spf1 +al"'],
        pointers={f"127.77.9.{number}": [f"out-{number}.relay.example"] for number in range(1, 7)}))
    figaro = Figaro(folder / "figaro", 2526, ipmap={"ranges": {"few": {
        "cidr": "127.77.9.0/29", "exclude": ["127.77.9.0", "127.77.9.7"], "ehlo": "out-{4}.relay.example"}}},
        configuration={"dns": {"servers": [f"127.0.0.1:{dns.port}"], "timeout": "5s", "spf": ["_spf.relay.example"]}})

    def faults(code=1):
        got, said = run(figaro, "ip", "check", "--dns", "--json")
        found = json.loads(said)
        assert got == code, said
        return found, {each["address"].rpartition(".")[2]: each["spf"] for each in found["faults"]}

    found, wrong = faults()
    assert found["checked"] == 6 and found["without_policy"] == 2 and wrong == {
        "2": ["the SPF record of out-2.relay.example does not name it: fail"],
        "4": ["whether the SPF record of out-4.relay.example covers it cannot be told: it hangs on exists:%{i}.x"]}
    figaro.settings["dns"]["spf"] = ["_mx.relay.example", "old.relay.example", "none.relay.example"]
    figaro.write_configuration()
    _, wrong = faults()
    assert wrong["6"] == ["the SPF record of old.relay.example is wrong: old.relay.example has the term +al",
                          "none.relay.example has no SPF record"], wrong
    assert "the SPF record of _mx.relay.example does not name it: fail" in wrong["1"], wrong
    code, said = run(figaro, "ip", "check", "127.77.9.5", "--dns")
    assert code == 1 and "none.relay.example has no SPF record" in said, said
    assert "1 EHLO names have no SPF record" in said, said
    figaro.settings["dns"]["spf"] = ["not a name"]
    figaro.write_configuration()
    code, said = run(figaro, "ip", "check", "--dns")
    assert code == 78 and "dns.spf" in said and "_spf.relay.example" in said, said


def test_a_suspended_site_waits_with_the_reason_and_goes_when_resumed(folder, started):
    receiver, figaro = relay(folder, started)
    several(figaro, "first", 3)
    arrived(receiver, "first", 3)
    site = json.loads(figaro.command("site", "list", "--json").splitlines()[0])
    figaro.command("site", "suspend", "sink.example", "--reason", "their admin asked")
    identifier = send(figaro, "held1")
    wait_until(lambda: "their admin asked" in figaro.command("trace", identifier), 10, "the trace names the reason")
    assert any(each["suspended"] for each in map(json.loads, figaro.command(
        "site", "list", "--blocked", "--json").splitlines()))
    # A restart changes nothing; neither does kill -9.
    figaro.kill()
    figaro.start()
    send(figaro, "held2")
    time.sleep(1)
    assert not [name for name in receiver.record.by_id() if name.startswith("held")]
    assert "their admin asked" in figaro.command("site", "show", "sink.example")
    figaro.command("site", "resume", "sink.example", "--reason", "solved")
    arrived(receiver, "held", 2)
    code, said = run(figaro, "site", "resume", "sink.example", "--reason", "again")
    assert code == 1 and "not suspended" in said, said
    # Its host's name means it too, for a time.
    figaro.command("site", "suspend", site["name"], "--reason", "a short look", "--for", "2s")
    send(figaro, "later1")
    arrived(receiver, "later", 1)


def test_reload_while_mail_flows(folder, started):
    receiver, figaro = relay(folder, started)
    several(figaro, "one", 10)
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=20) as kept:
        kept.ehlo()
        figaro.write_ipmap({
            "ranges": {"loop": range_of_254(network="127.78.0.0/24")},
            "pools": {"main": {"members": ["loop"], "messages_per_session": 1}},
            "sites": {"sink.example": {"host": "127.0.0.1", "port": receiver.port, "tls": "none"}}})
        figaro.settings["limits"] = {"message_size": "5MB"}
        figaro.settings["metrics"] = {"port": free_port()}
        figaro.write_configuration()
        said = figaro.command("reload")
        assert "254 sources" in said and "at the next start: metrics" in said, said
        # The session that was open goes on, by what it was told.
        kept.sendmail("author@customer.example", ["reader@sink.example"],
                      message("kept0", 900, random.Random("kept0")))
    several(figaro, "two", 10)
    arrived(receiver, "two", 10)
    arrived(receiver, "kept", 1)
    arrived(receiver, "one", 10)
    assert {peer.split(".")[1] for peer in sources_of(receiver, "two")} == {"78"}
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=20) as client:
        client.ehlo()
        assert int(client.esmtp_features["size"]) == 5 << 20

    # Something wrong: named, and nothing changes.
    good = figaro.config.read_text()
    figaro.config.write_text(good.replace('"hostname"', '"hostnmae"'))
    code, said = run(figaro, "reload", "--socket", figaro.spool / "control.sock")
    assert code == 78 and "hostnmae" in said and "figaro.yaml:2" in said and "nothing was changed" in said, said
    figaro.process.signal(signal.SIGHUP)
    wait_until(lambda: "by=SIGHUP" in figaro.process.tail(5), 10, "the log has it")
    several(figaro, "three", 5)
    arrived(receiver, "three", 5)

    # And by SIGHUP.
    figaro.settings["customers"] = {"other": {"networks": ["127.0.0.0/8"]}}
    del figaro.settings["metrics"]
    figaro.write_configuration()
    figaro.process.signal(signal.SIGHUP)
    wait_until(lambda: "event=reloaded" in figaro.process.tail(2), 10, "it is reloaded")
    identifier = send(figaro, "whose1")
    wait_until(lambda: figaro.trace(identifier)[0]["customer"] == "other", 10, "the customer is the new one")


def test_orders_survive_a_reload(folder, started):
    receiver, figaro = relay(folder, started)
    figaro.command("ip", "disable", "127.77.0.0/25", "--reason", "bad half")
    figaro.command("reload")
    assert len(listed(figaro, "--state", "disabled")) == 127
    several(figaro, "half", 10)
    arrived(receiver, "half", 10)
    assert all(int(peer.rpartition(".")[2]) >= 128 for peer in sources_of(receiver, "half"))


def test_a_damaged_file_of_orders_is_told_at_the_start(folder):
    figaro = Figaro(folder / "figaro", 2526)
    figaro.spool.mkdir(parents=True)
    (figaro.spool / "steering.json").write_text("{")
    code, said = run(figaro, "serve")
    assert code == 1 and "steering.json is damaged" in said and "remove it" in said, said


def test_top_tells_rates_once_as_lines_and_on_a_terminal(folder, started):
    receiver, figaro = relay(folder, started)
    top = subprocess.Popen([binary(), "top", "--json", "--interval", "1s", "--config", figaro.config],
                           stdout=subprocess.PIPE, text=True)
    try:
        top.stdout.readline()
        several(figaro, "busy", 30)
        reports = [json.loads(top.stdout.readline()) for _ in range(4)]
    finally:
        top.kill()
        top.wait(10)
    assert 25 <= sum(each["accepted"] * each["seconds"] for each in reports) <= 30.5, reports
    assert any(each["sites"] and each["sources"] for each in reports) and reports[0]["memory"] > 1e6
    arrived(receiver, "busy", 30)
    screen = figaro.command("top", "--once", "--interval", "300ms")
    assert "a second" in screen and "SITE" in screen and "\x1b" not in screen
    assert "in flight" in screen and "waiting" in screen
    assert run(figaro, "top", "--interval", "1h")[0] == 64

    # A terminal of its own: drawn, drawn anew at another width, and put back as it was.
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(slave)
    top = subprocess.Popen([binary(), "top", "--interval", "300ms", "--config", figaro.config],
                           stdin=slave, stdout=slave, stderr=slave)
    try:
        seen = read_until(master, b"q ends it")
        assert b"\x1b[?1049h" in seen
        lines = re.sub(rb"\x1b\[[?0-9;]*[a-zA-Z]", b"", seen).replace(b"\r", b"").split(b"\n")
        assert all(len(line) <= 80 for line in lines), lines
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
        top.send_signal(signal.SIGWINCH)
        read_until(master, b"q ends it")
        narrow = read_until(master, b"q ends it")
        lines = re.sub(rb"\x1b\[[?0-9;]*[a-zA-Z]", b"", narrow).replace(b"\r", b"").split(b"\n")
        assert all(len(line) <= 49 for line in lines), lines
        os.write(master, b"\x03")
        assert top.wait(10) == 0
        assert b"\x1b[?1049l" in read_until(master, b"\x1b[?1049l")
        assert termios.tcgetattr(slave) == before
    finally:
        top.kill()
        top.wait(10)
        os.close(master)
        os.close(slave)


def read_until(file, word, seconds=15):
    """What a terminal shows, up to that word."""
    seen, end = b"", time.monotonic() + seconds
    while word not in seen:
        ready, _, _ = select.select([file], [], [], max(0, end - time.monotonic()))
        assert ready, f"no {word} in {seen[-2000:]}"
        seen += os.read(file, 65536)
    return seen


def test_the_service_manager_is_told_of_a_reload(folder, started):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(30)
        figaro = started(Figaro(folder / "figaro", free_port(), env={"NOTIFY_SOCKET": str(folder / "notify")}))
        figaro.start()
        assert manager.recv(100) == b"READY=1"
        for wrong in (False, True):
            before = time.monotonic_ns() // 1000
            if wrong:
                figaro.process.signal(signal.SIGHUP)
            else:
                figaro.command("reload")
            reloading, clock = manager.recv(100).split(b"\n")
            assert reloading == b"RELOADING=1"
            assert before <= int(clock.removeprefix(b"MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
            assert manager.recv(100) == b"READY=1"
            figaro.config.write_text("listeners: [")


def test_top_calls_what_is_on_the_wire_in_flight(folder, started):
    slow = started(Receiver(folder / "slow", "--slow", "60"))
    figaro = started(Figaro(folder / "figaro", slow.port))
    figaro.start()
    send(figaro, "slow1")

    def told():
        return json.loads(figaro.command("top", "--once", "--interval", "200ms", "--json"))

    wait_until(lambda: told()["in_flight"] == 1, 30, "it is on the wire")
    report = told()
    assert (report["queue_messages"], report["in_flight"], report["waiting"], report["held"]) == (1, 1, 0, 0), report
    figaro.kill()
