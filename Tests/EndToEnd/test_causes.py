"""The table of causes, row by row, against providers that decide from their own state and say it in their own words."""

import random
import smtplib
import time

import pytest

from load.ledger import message
from servers.figaro import Figaro, range_of_254
from servers.process import wait_until
from servers.provider import Blocker, Greylister, Limiter, Provider, Watch
from servers.unbound import Unbound


def relay(folder, started, watch, schedule=("1s",), ipmap=None, per_session=1, budget=4, **more):
    """A relay that knows the way to each provider."""
    sites = {each.domain: {"host": each.address, "port": each.port, "tls": "none"} for each in watch.providers}
    ranges = {"loop": range_of_254()}
    whole = {"ranges": ranges, "pools": {"main": {"members": ["loop"], "messages_per_session": per_session}},
             "routes": {"default": {"steps": [f"pool main/{budget}"]}}, "sites": sites, **(ipmap or {})}
    figaro = started(Figaro(folder / "figaro", ipmap=whole, configuration={
        "delivery": {"allow": [f"{each.address}/32:{each.port}" for each in watch.providers],
                     "schedule": list(schedule), "jitter": 0}, **more}))
    return figaro.start()


def send(figaro, *recipients, name="letter", size=600):
    """Returns the relay's own name for the message."""
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=30) as client:
        client.ehlo()
        client.mail("author@customer.example")
        for recipient in recipients:
            assert client.rcpt(recipient)[0] == 250
        code, text = client.data(message(name, size, random.Random(1)))
        assert code == 250, text
        return text.decode().split()[-1]


def events(figaro, identifier, kind="attempt"):
    return [event for event in figaro.trace(identifier) if event["event"] == kind]


def ends(figaro, identifier):
    """How its recipients ended, delivered ones included."""
    trace = figaro.trace(identifier)
    return ([event["how"] for event in trace if event["event"] == "ended"]
            + [event["decision"] for event in trace if event.get("decision") in ("delivered", "relayed")])


def wait_for_end(figaro, identifier, seconds=30):
    wait_until(lambda: ends(figaro, identifier), seconds, "the message ends")
    return ends(figaro, identifier)


class Lister(Provider):
    """Has every odd address on its list."""

    name = "listed"

    def __init__(self, address, phase, code):
        super().__init__(address)
        self.phase, self.code = phase, code

    def judge(self, phase, peer, what):
        if phase == self.phase and int(peer.rpartition(".")[2]) % 2:
            return f"{self.code} Service unavailable; Client host [{peer}] blocked using zen.spamhaus.org"


@pytest.mark.parametrize("phase", ["banner", "mail", "rcpt", "dot"])
@pytest.mark.parametrize("code", ["554 5.7.1", "421 4.7.1"])
def test_source(phase, code, folder, started):
    if code.startswith("421") and phase != "banner":
        code = "451 4.7.1"
    watch = started(Watch(Lister("127.66.1.1", phase, code)))
    # By chance eight listed ones in a row are drawn now and then, which is not what is looked at here.
    figaro = relay(folder, started, watch, schedule=["2m"], budget=20, containment={"range_breaker": 254})
    letters = [send(figaro, "reader@listed.example", name=f"l{each}") for each in range(16)]
    assert all(wait_for_end(figaro, each) == ["delivered"] for each in letters), "at once, not two minutes later"
    refused = 0
    for each in letters:
        attempts = events(figaro, each)
        sources = [event["source"] for event in attempts]
        assert len(set(sources)) == len(sources), "no source twice"
        refused += len(sources) - 1
        for event in attempts[:-1]:
            assert (event["cause"], event["decision"]) == ("source", "another source")
    assert refused > 0
    assert all(int(peer.rpartition(".")[2]) % 2 == 0 for peer, _ in watch.providers[0].messages)


class Neighbourhood(Provider):
    name = "network"

    def judge(self, phase, peer, what):
        if phase == "mail" and peer.startswith("127.77."):
            return (f"550 5.7.1 Unfortunately, messages from [{peer}] weren't sent. Please contact your Internet "
                    "service provider since part of their network is on our block list (S3150).")


def test_range(folder, started):
    watch = started(Watch(Neighbourhood("127.66.1.2")))
    figaro = relay(folder, started, watch, schedule=["2m"], ipmap={
        "ranges": {"loop": range_of_254(), "far": range_of_254(network="127.78.0.0/24", ehlo="far-{4}.relay.example")},
        "pools": {"main": {"members": ["loop"]}, "second": {"members": ["far"]}},
        "routes": {"default": {"steps": ["pool main/4", "pool second/2"]}}})
    letter = send(figaro, "reader@network.example")
    assert wait_for_end(figaro, letter) == ["delivered"]
    networks = [peer.rpartition(".")[0] for peer in watch.peers("mail")]
    assert networks == ["127.77.0", "127.78.0"], "one address of the range, then another range"


def test_greylist(folder, started):
    watch = started(Watch(Greylister("127.66.1.3")))
    figaro = relay(folder, started, watch, schedule=["2s", "3s", "3s"])
    letters = [send(figaro, f"reader{each}@greymail.example", name=f"l{each}") for each in range(5)]
    assert all(wait_for_end(figaro, each, 40) == ["delivered"] for each in letters)
    for each in letters:
        attempts = events(figaro, each)
        assert len({event["source"] for event in attempts}) == 1, "the same source each time"
        assert len(attempts) >= 2
        assert attempts[0]["cause"] == "greylist"


def test_volume(folder, started):
    watch = started(Watch(Limiter("127.66.1.4")))
    figaro = relay(folder, started, watch, schedule=["2s", "3s", "4s"])
    letters = [send(figaro, "reader@slowmail.example", name=f"l{each}") for each in range(40)]
    for each in letters:
        assert wait_for_end(figaro, each, 60) == ["delivered"], "late, never bounced"
    assert len(watch.providers[0].messages) == 40
    causes = {event.get("cause") for each in letters for event in events(figaro, each)} - {None}
    assert causes <= {"volume"}, causes


class Says(Provider):
    """Says the same in one phase, to everybody, for the first `seconds` after the first time; for ever without."""

    def __init__(self, address, name, phase, reply, seconds=None):
        self.name = name
        super().__init__(address)
        self.phase, self.reply, self.seconds, self.first = phase, reply, seconds, None

    def judge(self, phase, peer, what):
        if phase != self.phase:
            return None
        self.first = self.first or time.monotonic()
        if self.seconds is None or time.monotonic() - self.first < self.seconds:
            return self.reply.replace("PEER", peer)


two = ["@ MX 10 mx1.several.example.", "@ MX 20 mx2.several.example.", "mx1 A 127.88.22.1", "mx2 A 127.88.22.2"]


@pytest.mark.parametrize("cause, phase, reply", [
    ("host", "mail", "421 4.3.2 Service shutting down, closing transmission channel"),
    ("host", "rcpt", "451 4.3.0 Temporary server error. Please try again later"),
    ("size", "dot", "552 5.3.4 Message size exceeds fixed limit"),
    ("protocol", "mail", "503 5.5.1 Bad sequence of commands"),
])
def test_host_size_and_protocol_try_the_next_host(cause, phase, reply, folder, started):
    zone = started(Unbound(folder / "unbound", "several.example", two))
    watch = started(Watch(Says("127.88.22.1", "mx1", phase, reply), Says("127.88.22.2", "mx2", None, ""), port=25))
    figaro = relay(folder, started, watch, schedule=["2m"], ipmap={"sites": {}},
                   dns={"servers": [f"127.0.0.1:{zone.port}"], "timeout": "3s"})
    letter = send(figaro, "reader@several.example")
    assert wait_for_end(figaro, letter) == ["delivered"]
    # Both may be of the same millisecond, so they are told apart by their hosts.
    first, last = sorted(events(figaro, letter), key=lambda event: event["host"])
    assert (first["cause"], first["decision"], first["host"]) == (cause, "another host", "mx1.several.example")
    assert (last["decision"], last["host"]) == ("delivered", "mx2.several.example")


def test_mailbox(folder, started):
    watch = started(Watch(Says("127.66.1.5", "full", "rcpt", "552 5.2.2 <reader>: Mailbox is full / over quota", 3)))
    figaro = relay(folder, started, watch)
    letter = send(figaro, "reader@full.example")
    assert wait_for_end(figaro, letter) == ["delivered"], "when there is room again"
    assert {event.get("cause") for event in events(figaro, letter)} == {"mailbox", None}


@pytest.mark.parametrize("reply", [
    "550 5.1.1 <reader>: Recipient address rejected: User unknown in virtual mailbox table",
    "550 5.7.1 <reader@gone.example>: Relay access denied", "554 5.7.1 The moon is in the seventh house",
])
def test_recipient_domain_and_unknown_are_told_at_once(reply, folder, started):
    watch = started(Watch(Says("127.66.1.6", "gone", "rcpt", reply)))
    figaro = relay(folder, started, watch, notices={"gather": "0s"})
    letter = send(figaro, "reader@gone.example")
    assert wait_for_end(figaro, letter) == ["failed"]
    assert len(watch.peers()) == 1, "one attempt, from one address"
    wait_until(lambda: events(figaro, letter, "notice"), 20, "the sender is told")


def test_a_recipients_refusal_is_not_the_transactions(folder, started):
    watch = started(Watch(Provider("127.66.1.7")))
    figaro = relay(folder, started, watch)
    letter = send(figaro, "nobody@friendly.example", "reader@friendly.example")
    wait_until(lambda: sorted(ends(figaro, letter)) == ["delivered", "failed"], 20, "one of each")


@pytest.mark.parametrize("cause, reply", [
    ("content", "550 5.7.1 Message rejected due to spam content"),
    ("auth", "550 5.7.26 Unauthenticated email from customer.example is not accepted due to domain's DMARC policy."),
])
def test_content_and_auth_never_rotate(cause, reply, folder, started):
    watch = started(Watch(Says("127.66.1.8", "strict", "dot", reply)))
    figaro = relay(folder, started, watch, budget=20)
    letter = send(figaro, "reader@strict.example")
    assert wait_for_end(figaro, letter) == ["failed"]
    assert [event["cause"] for event in events(figaro, letter)] == [cause]
    assert len(watch.peers()) == 1


@pytest.mark.parametrize("cause, reply", [
    ("content", "451 4.7.1 Message deferred: content looks like spam"),
    ("auth", "421 4.7.26 This mail has been rate limited because it is unauthenticated: SPF and DKIM did not pass"),
])
def test_content_and_auth_for_now_come_back_from_the_same_source(cause, reply, folder, started):
    watch = started(Watch(Says("127.66.1.9", "wary", "dot", reply, 5)))
    figaro = relay(folder, started, watch, budget=20)
    letter = send(figaro, "reader@wary.example")
    assert wait_for_end(figaro, letter) == ["delivered"]
    assert len(watch.peers("dot")) >= 3
    assert len(set(watch.peers("dot"))) == 1, "never another source"
    assert {event.get("cause") for event in events(figaro, letter)} == {cause, None}


def test_tls(folder, started):
    watch = started(Watch(Provider("127.66.1.10")))
    only = watch.providers[0]
    figaro = relay(folder, started, watch, ipmap={
        "sites": {only.domain: {"host": only.address, "port": only.port, "tls": "required"}}})
    letter = send(figaro, "reader@friendly.example")
    wait_until(lambda: len(watch.peers("banner")) >= 2, 30, "it is tried again")
    assert not watch.peers("mail"), "not one word of it in the clear"
    assert ends(figaro, letter) == []
    assert {event["cause"] for event in events(figaro, letter)} == {"tls"}


class Cutter(Provider):
    """Takes the message, and its line breaks before it can say so; the next one is answered."""

    name = "cut"
    cuts = 1

    def judge(self, phase, peer, what):
        if phase == "dot" and self.cuts:
            self.cuts -= 1
            raise ConnectionResetError


def test_uncertain(folder, started):
    watch = started(Watch(Cutter("127.66.1.11")))
    figaro = relay(folder, started, watch)
    letter = send(figaro, "reader@cut.example")
    assert wait_for_end(figaro, letter) == ["delivered"]
    peers = watch.peers("rcpt")
    assert len(peers) == 2 and len(set(peers)) == 1, "the same source again"
    first = events(figaro, letter)[0]
    assert first["cause"] == "uncertain"
    assert "possible duplicate" in (figaro.folder / "figaro.out").read_text()


def test_local(folder, started):
    watch = started(Watch(Provider("127.66.1.12")))
    figaro = relay(folder, started, watch, schedule=["2m"], ipmap={
        "ranges": {"loop": {"cidr": "127.77.0.8/29", "ehlo": "out-{4}.relay.example"},
                   "gone": {"cidr": "198.51.100.0/28", "ehlo": "gone-{4}.relay.example"}},
        "pools": {"main": {"members": ["loop", "gone"], "messages_per_session": 1}}})
    letters = [send(figaro, "reader@friendly.example", name=f"l{each}") for each in range(20)]
    assert all(wait_for_end(figaro, each) == ["delivered"] for each in letters), "at once, from another source"
    assert all(peer.startswith("127.77.0.") for peer in watch.peers())
    assert "unbound" in figaro.command("ip", "list")


def test_unknown_for_now_keeps_its_source_once(folder, started):
    watch = started(Watch(Says("127.66.1.13", "odd", "rcpt", "451 4.7.1 The moon is in the seventh house", 5)))
    figaro = relay(folder, started, watch)
    letter = send(figaro, "reader@odd.example")
    assert wait_for_end(figaro, letter) == ["delivered"]
    peers = watch.peers()
    assert len(peers) >= 3
    assert peers[0] == peers[1], "the first retry keeps its source"
    assert "The moon is in the seventh house" in figaro.command("replies", "unknown")
