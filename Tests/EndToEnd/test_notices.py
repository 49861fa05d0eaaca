"""Senders are told the truth, once: notices as they lie in the mailbox at the sender's own Postfix."""

import random
import smtplib
import time

import pytest

from load.ledger import message
from load.notices import checked
from servers.figaro import Figaro, range_of_254
from servers.mailbox import Mailserver
from servers.process import free_port, wait_until
from servers.receiver import Receiver
from servers.unbound import Unbound

hostile = {
    "crlf": r"550 5.1.1 no\r\nSubject: forged\r\n\r\nbody",
    "nul": r"550 5.1.1 a\0b\x01\x7fc",
    "eight": "550 5.1.1 caf\\xe9 \\xff\\xfe gr\\xc3\\xbc\\xc3\\x9fe",
    "escape": r"550 5.1.1 \x1b[2J\x1b]0;owned\x07 \x9b31m",
    "bare": r"550 5.1.1 one\rtwo",
    "lines": r"550-5.1.1 one\r\n550-5.1.1 --boundary--\r\n550 5.1.1 Final-Recipient: rfc822; eve@example.org",
    "long": "550 5.1.1 " + "x" * 3_000,
}


class World:
    """A customer's Postfix with mailboxes, the relay, and domains that behave each in its own way."""

    def __init__(self, folder, started, receivers, settings=None, delivery=None, pools=None, routes=None, records=()):
        """`receivers`: by domain below zone.example, options of its host."""
        self.addresses = {name: f"127.88.{30 + number}.1" for number, name in enumerate(receivers)}
        self.zone = started(Unbound(folder / "unbound", "zone.example", [
            *(f"{name} A {address}" for name, address in self.addresses.items()), *records]))
        self.receivers = {
            name: started(Receiver(folder / name, *options, port=25, address=self.addresses[name]))
            for name, options in receivers.items()}
        port = free_port()
        self.figaro = started(Figaro(
            folder / "figaro", ipmap={
                "ranges": {"loop": range_of_254()}, "pools": {"main": {"members": ["loop"]}, **(pools or {})},
                "routes": {"default": {"steps": ["pool main/4"]}, **(routes or {})},
                "sites": {"customer.example": {"host": "127.0.0.1", "port": port, "tls": "none"}}},
            configuration={
                "dns": {"servers": [f"127.0.0.1:{self.zone.port}"], "timeout": "2s"},
                "delivery": {"allow": [f"127.0.0.1/32:{port}", "127.88.0.0/16:25"], "schedule": ["1s"],
                             **(delivery or {})},
                "notices": {"gather": "1s", **(settings or {}).pop("notices", {})}, **(settings or {})}))
        self.figaro.start()
        self.server = started(Mailserver(folder / "postfix", port, self.figaro.port))

    def send(self, sender, recipients, size=900, mail=(), identifier=None, content=None):
        """Through the customer's Postfix; `recipients` are addresses, or pairs with the options of RCPT."""
        identifier = identifier or f"notice-{random.getrandbits(40):010x}"
        with smtplib.SMTP("127.0.0.1", self.server.port, "author.customer.example", timeout=30) as client:
            client.ehlo()
            assert client.mail(sender, mail)[0] == 250
            for each in recipients:
                address, *options = (each,) if isinstance(each, str) else each
                code, text = client.rcpt(address, options)
                assert code == 250, (address, text)
            code, text = client.data(content or message(identifier, size, random.Random(1)))
            assert code == 250, text
        return identifier

    def report(self, name, seconds=40, count=1):
        """The only notice in a mailbox, checked."""
        found = self.server.wait(name, count, seconds)
        reports = [checked(each, f"{name}@customer.example", raw)
                   for each, raw in zip(found, self.server.raw(name))]
        return reports[0] if count == 1 else reports

    def queue_is_empty(self):
        return not self.figaro.command("queue", "list", "--json").strip()

    def wait_until_empty(self, seconds=30):
        wait_until(self.queue_is_empty, seconds, "nothing is left in the queue", 0.3)


def test_each_way_of_failing_has_its_notice(folder, started):
    world = World(folder, started, {
        "friend": ["--recipient", "unknown=550 5.1.1 <unknown@friend.zone.example>: no such user"],
        "strict": ["--reply", "dot=552 5.3.4 Message too big for system"],
        "small": ["--size", "2000"], "old": ["--without", "8BITMIME"],
        "busy": ["--reply", "rcpt=451 4.3.2 We are very busy today"],
    }, delivery={"max_age": "6s"}, records=["null MX 0 ."])
    cases = {
        "user": ("unknown@friend.zone.example", 900, "5.1.1", "no such user"),
        "null": ("reader@null.zone.example", 900, "5.1.10", "null MX"),
        "dead": ("reader@missing.zone.example", 900, "5.1.2", "does not exist"),
        "refused": ("reader@strict.zone.example", 900, "5.3.4", "too big"),
        "announced": ("reader@small.zone.example", 9_000, "5.3.4", "2000 octets"),
        "late": ("reader@busy.zone.example", 900, "4.3.2", "very busy today"),
    }
    identifiers = {name: world.send(f"{name}@customer.example", [recipient], size)
                   for name, (recipient, size, *_) in cases.items()}
    identifiers["eight"] = "eight"
    world.send("eight@customer.example", ["reader@old.zone.example"], mail=["BODY=8BITMIME"], content=(
        b"Subject: x\r\nX-Test-ID: eight\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n"))
    cases["eight"] = ("reader@old.zone.example", 0, "5.6.3", "8BITMIME")
    for name, (recipient, _, status, words) in cases.items():
        report = world.report(name)
        fields = report.only()
        print(name, fields)
        assert fields["Final-Recipient"] == f"rfc822; {recipient}"
        assert fields["Action"] == "failed"
        assert fields["Status"] == status, fields
        assert words in " ".join(fields["Diagnostic-Code"].split()), fields
        assert words in " ".join(report.text.split()) and f"<{recipient}>" in report.text
        assert report.original["X-Test-ID"] == identifiers[name]
        assert report.is_whole == (name != "eight"), "8-bit comes back whole only where asked for"
    world.wait_until_empty()
    time.sleep(2)
    assert all(len(world.server.raw(name)) == 1 for name in cases), "one notice each"


def test_a_german_customer_reads_german_whatever_the_reason(folder, started):
    world = World(folder, started, {
        "friend": ["--recipient", "unknown=550 5.1.1 <unknown@friend.zone.example>: no such user"],
        "small": ["--size", "2000"], "busy": ["--reply", "rcpt=451 4.3.2 very busy today"],
    }, settings={"customers": {"acme": {"networks": ["127.0.0.0/8"], "language": "de"}}},
        delivery={"max_age": "6s"}, records=["null MX 0 .", "gone A 127.88.99.1"])
    cases = {
        "user": ("unknown@friend.zone.example", 900, ["friend.zone.example antwortete:", "no such user"]),
        "null": ("reader@null.zone.example", 900, ["null.zone.example nimmt überhaupt keine Mail an (Null-MX)."]),
        "dead": ("reader@missing.zone.example", 900, ["Die Domain missing.zone.example gibt es nicht."]),
        "large": ("reader@small.zone.example", 9_000, ["bis höchstens 2000 Oktette"]),
        "late": ("reader@busy.zone.example", 900, ["bis ihre Zeit um war", "antwortete:", "451 4.3.2 very busy"]),
        "silent": ("reader@gone.zone.example", 900, ["bis ihre Zeit um war", "war nicht zu erreichen."]),
    }
    for name, (recipient, size, _) in cases.items():
        world.send(f"{name}@customer.example", [recipient], size)
    for name, (recipient, _, words) in cases.items():
        report = world.report(name)
        text = " ".join(report.text.split())
        print(name, text)
        assert report.only()["Final-Recipient"] == f"rfc822; {recipient}"
        for each in words:
            assert each in text, (each, text)
        for english in ("said", "octets", "exist", "refused", "reason", "timed out", "route", "deadline", "The "):
            assert english not in text.replace("no such user", ""), (english, text)


def test_what_an_operator_bounces_is_told_in_german(folder, started):
    world = World(folder, started, {"busy": ["--reply", "rcpt=451 4.3.2 later"]}, settings={
        "customers": {"acme": {"networks": ["127.0.0.0/8"], "language": "de"}}}, delivery={"schedule": ["10m"]})
    world.send("ended@customer.example", ["reader@busy.zone.example"])
    wait_until(lambda: "451 4.3.2 later" in world.figaro.command("queue", "list", "--state", "waiting"), 30,
               "it was tried and waits", 0.3)
    world.figaro.command("queue", "bounce", "--sender", "ended@customer.example", "--reason", "falsche Preise")
    report = world.report("ended")
    fields = report.only()
    assert fields["Action"] == "failed" and fields["Status"] == "5.0.0"
    assert fields["Diagnostic-Code"] == "X-Figaro; returned by the administrator of this relay: falsche Preise"
    assert "Der Betreiber dieses Relays hat sie zurückgegeben, mit diesen Worten: falsche Preise" in " ".join(
        report.text.split())


def test_recipients_that_fail_together_share_a_notice(folder, started):
    world = World(folder, started, {
        "one": ["--recipient", "x=550 5.1.1 no x", "--recipient", "y=553 5.1.3 no y"],
        "two": ["--reply", "rcpt=550 5.7.1 we take nothing"],
    })
    world.send("group@customer.example", [
        "x@one.zone.example", "good@one.zone.example", "y@one.zone.example", "z@two.zone.example"])
    report = world.report("group")
    assert sorted((each["Final-Recipient"], each["Status"]) for each in report.recipients) == [
        ("rfc822; x@one.zone.example", "5.1.1"), ("rfc822; y@one.zone.example", "5.1.3"),
        ("rfc822; z@two.zone.example", "5.7.1")]
    world.wait_until_empty()
    assert len(world.receivers["one"].record.messages()) == 1
    assert len(world.server.raw("group")) == 1


def test_no_reply_can_break_a_notice(folder, started):
    options = [word for name, words in hostile.items() for word in ("--recipient", f"{name}={words}")]
    world = World(folder, started, {"rude": [*options, "--flood", "flood"]}, delivery={"max_age": "8s"})
    for name in [*hostile, "flood"]:
        world.send(f"{name}@customer.example", [f"{name}@rude.zone.example"])
    for name in [*hostile, "flood"]:
        report = world.report(name, 60)
        fields = report.only()
        print(name, fields["Diagnostic-Code"][:200])
        assert fields["Final-Recipient"] == f"rfc822; {name}@rude.zone.example"
        assert not report.text.isascii() or "\x1b" not in report.text
        assert not any(ord(each) < 32 and each != "\n" or 127 <= ord(each) < 160 for each in report.text)
        assert max(map(len, report.text.splitlines())) < 3_000
    assert world.figaro.process.alive()


def test_what_was_asked_is_honoured(folder, started):
    world = World(folder, started, {
        "plain": ["--recipient", "bad=550 5.1.1 no", "--recipient", "worse=550 5.1.1 no"],
        "modern": ["--extension", "DSN", "--recipient", "bad=550 5.1.1 no"],
    })
    world.send("never@customer.example", [("bad@plain.zone.example", "NOTIFY=NEVER")])
    world.send("success@customer.example", [("good@plain.zone.example", "NOTIFY=SUCCESS,FAILURE"),
                                            "other@plain.zone.example"])
    world.send("passed@customer.example", [("good@modern.zone.example", "NOTIFY=SUCCESS",
                                            "ORCPT=rfc822;First+2BOne@Elsewhere.example")],
               mail=["ENVID=QQ+2B314159", "RET=HDRS"])
    world.send("fields@customer.example", [("bad@plain.zone.example", "NOTIFY=FAILURE",
                                            "ORCPT=rfc822;First+2BOne@Elsewhere.example")],
               mail=["ENVID=QQ+2B314159", "RET=HDRS"])
    world.send("full@customer.example", ["bad@plain.zone.example"], size=80_000, mail=["RET=FULL"])
    world.send("onlyok@customer.example", [("bad@plain.zone.example", "NOTIFY=SUCCESS")])

    fields = world.report("fields")
    assert fields.about["Original-Envelope-Id"] == "QQ+314159"
    assert fields.only()["Original-Recipient"] == "rfc822;First+One@Elsewhere.example"
    assert not fields.is_whole and fields.original["Subject"]

    success = world.report("success")
    assert success.only()["Action"] == "relayed" and success.only()["Status"].startswith("2.")
    assert success.only()["Final-Recipient"] == "rfc822; good@plain.zone.example"
    assert not success.is_whole

    full = world.report("full")
    assert not full.is_whole, "more than full_message octets come back as their header alone"

    modern = world.receivers["modern"].record
    wait_until(lambda: modern.messages(), 20, "the modern host has it")
    taken = modern.messages()[0]
    assert "ENVID=QQ+2B314159" in taken["sender"] and "RET=HDRS" in taken["sender"]
    assert "NOTIFY=SUCCESS" in taken["recipients"][0]
    assert "ORCPT=rfc822;First+2BOne@Elsewhere.example" in taken["recipients"][0]
    plain = world.receivers["plain"].record
    assert all("NOTIFY" not in each for one in plain.messages() for each in one["recipients"])
    world.wait_until_empty()
    time.sleep(2)
    for name in ("never", "passed", "onlyok"):
        assert world.server.raw(name) == [], f"nothing is told to {name}"


def test_a_large_original_comes_back_whole_where_that_is_wanted(folder, started):
    world = World(folder, started, {"plain": ["--reply", "rcpt=550 5.1.1 no"]},
                  settings={"notices": {"full_message": "1MB"}})
    big = world.send("big@customer.example", ["bad@plain.zone.example"], size=400_000, mail=["RET=FULL"])
    binary = (b"Subject: gr\xc3\xbc\xc3\x9fe\r\nFrom: <author@customer.example>\r\nX-Test-ID: eight\r\n"
              b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
              b"Content-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n")
    world.send("eight@customer.example", ["bad@plain.zone.example"], mail=["BODY=8BITMIME"], content=binary)
    report = world.report("big")
    assert report.is_whole and report.original["X-Test-ID"] == big
    assert len(report.original.get_payload()) > 380_000
    report = world.report("eight")
    assert not report.is_whole and report.original["X-Test-ID"] == "eight", "8-bit comes back only where asked for"


def test_a_delay_is_told_once(folder, started):
    world = World(folder, started, {"slow": ["--recipient", "late=451 4.2.0 come back later",
                                             "--recipient", "quiet=451 4.2.0 come back later"]},
                  settings={"notices": {"delay_after": "5s"}}, delivery={"max_age": "14s"})
    world.send("delay@customer.example", ["late@slow.zone.example"])
    world.send("undelayed@customer.example", [("quiet@slow.zone.example", "NOTIFY=FAILURE")])
    first = world.report("delay")
    assert first.only()["Action"] == "delayed" and first.only()["Status"] == "4.2.0"
    assert first.only()["Will-Retry-Until"] and "451 4.2.0 come back later" in first.text
    delayed, failed = world.report("delay", count=2)
    assert (delayed.only()["Action"], failed.only()["Action"]) == ("delayed", "failed")
    assert world.report("undelayed").only()["Action"] == "failed"


def test_a_notice_about_a_notice_goes_to_the_postmaster_once(folder, started):
    world = World(
        folder, started, {"plain": ["--reply", "rcpt=550 5.1.1 no such user"],
                          "post": ["--recipient", "gone=550 5.1.1 no such user"]},
        settings={"postmaster": "postmaster@customer.example"})
    # The sender's own domain refuses the notice.
    world.send("ghost@plain.zone.example", ["reader@plain.zone.example"])
    report = world.report("postmaster")
    assert report.only()["Final-Recipient"] == "rfc822; ghost@plain.zone.example"
    assert report.original["Auto-Submitted"] == "auto-replied", "the notice that failed is enclosed"
    world.wait_until_empty()
    time.sleep(2)
    assert len(world.server.raw("postmaster")) == 1


def test_without_a_postmaster_a_notice_about_a_notice_ends_with_a_reason(folder, started):
    world = World(folder, started, {"plain": ["--reply", "rcpt=550 5.1.1 no such user"]})
    world.send("ghost@plain.zone.example", ["reader@plain.zone.example"])
    log = world.figaro.process.output
    wait_until(lambda: "no postmaster is configured" in log.read_text(), 30, "it is said why nobody is told")
    world.wait_until_empty()


def test_notices_take_their_own_route_and_language(folder, started):
    world = World(
        folder, started, {"plain": ["--reply", "rcpt=550 5.1.1 no such user"]},
        settings={"customers": {"acme": {"networks": ["127.0.0.0/8"], "language": "de"}}},
        pools={"narrow": {"members": ["loop-7"]}},
        routes={"notices": {"when": {"sender": "<>"}, "steps": ["pool narrow/1"]}})
    world.send("route@customer.example", ["reader@plain.zone.example"])
    report = world.report("route")
    assert "nicht zugestellt werden" in report.text and report.message["Subject"].startswith("Nicht zustellbare")
    received = " ".join(report.message.get_all("Received"))
    assert "out-7.relay.example" in received or "[127.77.0.7]" in received, received


@pytest.mark.parametrize("rounds", [4])
def test_kills_leave_every_recipient_one_notice_or_one_delivery(folder, started, rounds):
    world = World(folder, started, {"half": ["--recipient", "bad=550 5.1.1 no such user"]})
    draw = random.Random(5)
    sent = {}
    for number in range(rounds * 40):
        name = f"k{number}"
        kind = draw.choice(["bad", "good", "both"])
        recipients = {"bad": ["bad"], "good": ["good"], "both": ["bad", "good"]}[kind]
        sent[name] = (kind, world.send(f"{name}@customer.example",
                                       [f"{each}@half.zone.example" for each in recipients]))
        if number % 40 == 39:
            time.sleep(draw.uniform(0, 0.4))
            world.figaro.kill()
            world.figaro.start()
    told = {name for name, (kind, _) in sent.items() if kind != "good"}
    wait_until(lambda: all(world.server.raw(name) for name in told), 90, f"{len(told)} senders are told", 0.5)
    world.wait_until_empty(60)
    arrived = world.receivers["half"].record.by_id()
    for name, (kind, identifier) in sent.items():
        notices = {each["Message-ID"] for each in world.server.mail(name)}
        assert len(notices) == (0 if kind == "good" else 1), (name, kind, notices)
        assert bool(arrived.get(identifier)) == (kind != "bad"), (name, kind)
