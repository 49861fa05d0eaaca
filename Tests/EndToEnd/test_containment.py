"""Rotation makes up for what neighbours did; it is no way round what a receiver thinks of one customer's mail."""

import collections
import email
import email.policy
import json
import random
import re
import smtplib
import subprocess
import threading
import time

import pytest

from load.ledger import message
from servers.figaro import Figaro, range_of_254
from servers.postfix import Postfix
from servers.postgrey import Postgrey
from servers.process import free_port, wait_until
from servers.provider import Provider, Watch


def relay(folder, started, watch, schedule, budget=4, ranges=None, pools=None, **more):
    sites = {each.domain: {"host": each.address, "port": each.port, "tls": "none"} for each in watch.providers}
    figaro = started(Figaro(folder / "figaro", ipmap={
        "ranges": ranges or {"loop": range_of_254()},
        "pools": pools or {"main": {"members": ["loop"], "messages_per_session": 1}},
        "routes": {"default": {"steps": [f"pool main/{budget}"]}}, "sites": sites}, configuration={
            "delivery": {"allow": [f"{each.address}/32:{each.port}" for each in watch.providers],
                         "schedule": schedule, "jitter": 0}, **more}))
    return figaro.start()


def send(figaro, count, recipient, customer="127.0.0.2", text=b"Dear reader\r\n", name="letter"):
    """Hands in many of one customer's; returns the relay's own names for them."""
    names = []
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=30, source_address=(customer, 0)) as client:
        client.ehlo()
        for number in range(count):
            client.mail("author@customer.example")
            assert client.rcpt(recipient)[0] == 250
            code, answer = client.data(message(f"{name}{number}", 400, random.Random(number)) + text)
            assert code == 250, answer
            names.append(answer.decode().split()[-1])
    return names


class Trap(Provider):
    """Reads what it gets, and lists the address of whoever sends it advertisements; the list is for everybody."""

    name = "trap"

    def __init__(self, address):
        super().__init__(address)
        self.listed = set()

    def judge(self, phase, peer, what):
        if peer in self.listed and phase == "mail":
            return f"550 5.7.1 Service unavailable; client [{peer}] blocked using our own list: it has sent spam"

    async def talk(self, reader, writer, peer):
        taken = len(self.messages)
        await super().talk(reader, writer, peer)
        if any(b"cheap pills" in content for seen, content in self.messages[taken:] if seen == peer):
            self.listed.add(peer)


def test_a_customer_who_burns_addresses_is_held_and_the_others_mail_flows(folder, started):
    watch = started(Watch(Trap("127.66.2.1"), Provider("127.66.2.2")))
    figaro = relay(folder, started, watch, ["1s", "2s"], containment={"sources_per_site": 6, "sources": 20},
                   customers={"bad": {"networks": ["127.0.0.2"]}, "good": {"networks": ["127.0.0.3"]}},
                   metrics={"port": free_port()})
    trap = watch.providers[0]
    good = []
    writer = threading.Thread(target=lambda: good.extend(
        each for _ in range(10) for each in send(figaro, 4, "reader@friendly.example", "127.0.0.3")))
    writer.start()
    spam = []

    def held():
        report = json.loads(figaro.command("customer", "show", "bad", "--json"))
        return report if report["state"] == "held" else None

    end = time.monotonic() + 90
    while not held() and time.monotonic() < end:
        spam += send(figaro, 50, "reader@trap.example", text=b"buy cheap pills\r\n")
    report = held()
    assert report, "the customer is held"
    assert report["by"] == "burn budget"
    assert "trap.example" in report["reason"] or "127.66.2.1" in report["reason"]
    assert "blocked using our own list" in report["reason"], "the last refusal"
    burned = {peer for _, who, phase, peer, reply in watch.asked if who is trap and phase == "mail" and reply}
    assert len(burned) <= 6 + 20, "no more than the budget, and what was on the wire"
    time.sleep(1.5)
    came = len(watch.asked)
    # New mail of it is taken, and kept.
    late = send(figaro, 20, "reader@friendly.example", text=b"buy cheap pills\r\n", name="late")
    held_ids = lambda: {json.loads(line)["id"] for line in
                        figaro.command("queue", "list", "--state", "held", "--json", "--limit", 1000).splitlines()}
    wait_until(lambda: set(late) <= held_ids(), 20, "what it sends is held")
    writer.join()
    wait_until(lambda: len(watch.providers[1].messages) == 40, 30, "the others' mail flows")
    assert len(good) == 40
    assert not [phase for _, who, phase, _, _ in watch.asked[came:] if who is trap], "and the trap sees no more of it"
    assert "customer bad is held" in figaro.command("queue", "summary")
    log = (figaro.folder / "figaro.out").read_text()
    assert "customer held: its mail burns sources" in log
    assert json.loads(figaro.command("top", "--json", "--once"))["held_customers"] == 1
    # It stays so over a restart, and its mail goes when somebody says so.
    figaro.kill()
    figaro.start()
    assert held()
    after = send(figaro, 5, "reader@friendly.example", name="after")
    wait_until(lambda: set(after) <= held_ids(), 20, "held after a restart as well")
    before = len(watch.providers[1].messages)
    # What the trap refused would burn again.
    figaro.command("queue", "delete", "--domain", "trap.example", "--reason", "spam")
    assert "release" in figaro.command("customer", "release", "bad", "--reason", "cleaned up")
    wait_until(lambda: len(watch.providers[1].messages) == before + 25, 40, "what was held goes")
    assert not held()
    assert not held_ids()


def test_the_postmaster_is_told_once_of_a_hold(folder, started):
    watch = started(Watch(Trap("127.66.2.8"), Provider("127.66.2.9")))
    trap, house = watch.providers
    ranges = {"loop": {"cidr": "127.77.0.0/27", "exclude": ["127.77.0.0"], "ehlo": "out-{4}.relay.example"}}
    figaro = relay(folder, started, watch, ["1h"], budget=1, ranges=ranges, postmaster=f"postmaster@{house.domain}",
                   containment={"sources_per_site": 3, "sources": 20},
                   customers={"bad": {"networks": ["127.0.0.2"]}, "good": {"networks": ["127.0.0.3"]}})
    held = lambda: json.loads(figaro.command("customer", "show", "bad", "--json"))["state"] == "held"
    sent = 0
    while not held():
        assert (sent := sent + 4) <= 400
        send(figaro, 4, "reader@trap.example", text=b"buy cheap pills\r\n", name=f"s{sent}-")
    [(_, raw)] = wait_until(lambda: list(house.messages), 60, "the postmaster's notice")
    notice = email.message_from_bytes(raw, policy=email.policy.default)
    assert [each.addr_spec for each in notice["To"].addresses] == [f"postmaster@{house.domain}"]
    assert [each.addr_spec for each in notice["From"].addresses] == ["MAILER-DAEMON@relay.example"]
    assert "bad" in notice["Subject"] and notice["Auto-Submitted"] == "auto-generated"
    said = notice.get_content()
    assert "blocked using our own list" in said, said
    assert re.search(r"^    \S+: 3\r?$", said, re.M), said
    assert "figaro customer release bad" in said, said
    # Nobody is told twice, whatever is restarted, and of the next hold there is another one.
    book = figaro.spool / "steering.json"
    wait_until(lambda: "notice" not in book.read_text(), 20, "it is written down that it was told")
    figaro.kill()
    figaro.start()
    assert held()
    # Killed before it was committed: it is made again.
    figaro.command("customer", "release", "bad", "--reason", "cleaned up")
    order = json.loads(book.read_text())
    figaro.kill()
    order["customers"] = [{"name": "bad", "order": {
        "by": "burn budget", "reason": "made up", "since": 1_790_000_000_000, "notice": "due"}}]
    book.write_text(json.dumps(order))
    figaro.start()
    # A crash repeats at most what was delivered and not yet written down.
    told = lambda: {email.message_from_bytes(content)["Message-ID"] for _, content in list(house.messages)
                    if b"is held" in content}
    wait_until(lambda: len(told()) == 2, 60, "another hold, another notice")
    wait_until(lambda: "notice" not in book.read_text(), 20, "it is written down that it was told")
    figaro.kill()
    figaro.start()
    send(figaro, 1, f"reader@{house.domain}", customer="127.0.0.3", name="zebra")
    wait_until(lambda: any(b"zebra" in content for _, content in house.messages), 60, "mail of others")
    assert len(told()) == 2


def test_what_a_customer_burned_is_known_after_a_kill(folder, started):
    watch = started(Watch(Trap("127.66.2.7")))
    ranges = {"loop": {"cidr": "127.77.0.0/26", "exclude": ["127.77.0.0"], "ehlo": "out-{4}.relay.example"}}
    figaro = relay(folder, started, watch, ["1h"], budget=1, ranges=ranges,
                   containment={"sources_per_site": 6, "sources": 20},
                   customers={"bad": {"networks": ["127.0.0.2"]}})

    def report():
        return json.loads(figaro.command("customer", "show", "bad", "--json"))

    def burned(report):
        return sum(each["sources"] for each in report["burned"])

    def burn(until):
        sent = 0
        while not until(report()):
            assert (sent := sent + 4) <= 400, report()
            send(figaro, 4, "reader@trap.example", text=b"buy cheap pills\r\n", name=f"s{sent}-")

    burn(lambda found: burned(found) >= 3 or found["state"] == "held")
    known = burned(report())
    query = ["sqlite3", "-readonly", figaro.spool / "paths.sqlite",
             "SELECT CAST(value AS TEXT) FROM memory WHERE kind = 7 AND name = 'bad'"]
    written = lambda: subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.count("burn\t")
    wait_until(lambda: written() == burned(report()), 20, "it is written")
    known = burned(report())
    state = report()["state"]
    figaro.kill()
    figaro.start()
    assert burned(report()) == known >= 3 and report()["state"] == state
    burn(lambda found: found["state"] == "held")
    assert burned(report()) == 6, report()
    # What it has left would burn more.
    figaro.command("queue", "delete", "--customer", "bad", "--reason", "spam")
    figaro.command("customer", "release", "bad", "--reason", "cleaned up")
    assert burned(report()) == 0 and report()["state"] == "open"
    wait_until(lambda: written() == 0, 20, "it is forgiven in the file as well")


def test_an_operator_holds_and_releases_a_customer(folder, started):
    watch = started(Watch(Provider("127.66.2.3")))
    figaro = relay(folder, started, watch, ["1s"])
    assert "held" in figaro.command("customer", "hold", "acme", "--reason", "ticket 4713")
    names = send(figaro, 5, "reader@friendly.example")
    wait_until(lambda: figaro.command("queue", "list", "--state", "held").count("ticket 4713") or True, 5, "listed")
    wait_until(lambda: len(figaro.command("queue", "list", "--state", "held", "--json").splitlines()) == 5, 20, "held")
    assert not watch.providers[0].messages
    assert "acme" in figaro.command("customer", "list") and "ticket 4713" in figaro.command("customer", "show", "acme")
    single = names[0]
    figaro.command("queue", "hold", single, "--reason", "look at it", check=False)
    figaro.command("customer", "release", "acme", "--reason", "solved")
    wait_until(lambda: len(watch.providers[0].messages) == 5, 20, "all of it goes")


class Wall(Provider):
    """Has 250 of 254 addresses on its list, and counts."""

    name = "wall"
    open_to = {17, 90, 170, 233}

    def judge(self, phase, peer, what):
        if phase == "rcpt" and int(peer.rpartition(".")[2]) not in self.open_to:
            return f"550 5.7.606 Access denied, banned sending IP [{peer}]"


def test_a_site_that_blocks_250_of_254_addresses_gets_its_mail_from_the_other_four(folder, started):
    watch = started(Watch(Wall("127.66.2.4")))
    # Some fifty addresses are tried until one is open, a probe a second; never more than the 250 that are not.
    figaro = relay(folder, started, watch, ["1s"], budget=4, containment={"probe_every": "1s"})
    wall = watch.providers[0]
    count = 12
    names = send(figaro, count, "reader@wall.example")
    begin = time.monotonic()
    wait_until(lambda: len(wall.messages) == count, 540, "all arrive")
    seconds = time.monotonic() - begin
    assert {int(peer.rpartition(".")[2]) for peer, _ in wall.messages} <= wall.open_to
    asked = collections.Counter(peer for peer in watch.peers())
    refused = sum(asked.values()) - count
    attempts = sum(asked.values()) / count
    print(f"{count} messages, {refused} refusals, {seconds:.0f} s, {attempts:.1f} attempts a message")
    shut = [number for peer, number in asked.items() if int(peer.rpartition(".")[2]) not in wall.open_to]
    assert max(shut) <= 2, "a refused address rests"
    per_minute = collections.Counter(int((at - begin) / 60) for at, _, phase, _, _ in watch.asked if phase == "rcpt")
    assert max(per_minute.values()) <= 250, per_minute
    trace = [event for each in names for event in figaro.trace(each)]
    assert not [event for event in trace if event["event"] in ("ended", "notice")], "nobody is told anything"
    assert json.loads(figaro.command("customer", "show", "acme", "--json"))["state"] == "open"


class Fence(Provider):
    """Takes nothing from our network until it is told to."""

    name = "fence"
    is_shut = True

    def judge(self, phase, peer, what):
        if self.is_shut and phase == "mail":
            return f"554 5.7.1 Too much spam from your network, all of its addresses are blocked [{peer}]"


@pytest.mark.alone
def test_a_range_that_is_blocked_without_a_relay_is_probed_at_its_rate_and_then_taken(folder, started):
    every = 2
    watch = started(Watch(Fence("127.66.2.10")))
    fence = watch.providers[0]
    figaro = relay(folder, started, watch, ["1s"], containment={"probe_every": f"{every}s", "range_breaker": 3},
                   pools={"main": {"members": ["loop"], "messages_per_session": 20, "cooldown": ["1s"]}})
    count = 30
    names = send(figaro, count, "reader@fence.example")
    asked = lambda: [at for at, _, phase, _, _ in list(watch.asked) if phase == "mail"]
    # Up to twenty sessions were opened before the first refusal was known; from then on a probe at a time.
    at_first = 20
    began = wait_until(asked, 30, "it is asked")[0]
    wait_until(lambda: time.monotonic() > began + 5 * every and len(asked()) >= 4, 90, "it is asked now and again")
    seen, seconds = asked(), time.monotonic() - began
    print(f"{count} messages were shown {len(seen)} times in {seconds:.0f} s")
    assert len(seen) <= at_first + seconds / every + 1, "no more than its rate, whatever the number of messages"
    traces = {each: figaro.trace(each) for each in names}
    shown = [sum(event["event"] == "attempt" and bool(event.get("reply")) for event in each)
             for each in traces.values()]
    assert sum(shown) <= len(asked()) and max(shown) <= 1 + seconds / every + 1, "none is shown faster than probes go"
    events = [event for each in traces.values() for event in each]
    assert {event["cause"] for event in events if event["event"] == "attempt" and event.get("reply")} == {"range"}
    assert not [event for event in events if event["event"] in ("ended", "notice")], "nobody is told anything"
    assert not fence.messages
    fence.is_shut = False
    wait_until(lambda: len(fence.messages) == count, 60, "all of it comes when the range is taken again")


def test_a_real_greylister_gets_each_triple_from_one_address_and_takes_it(folder, started):
    grey = started(Postgrey(folder / "postgrey", "--lookup-by-host", "--auto-whitelist-clients=0"))
    port = free_port()
    receiver = started(Postfix(folder / "receiver", port, "", settings={
        "myhostname": "mx.grey.example", "mydestination": "grey.example", "local_transport": "discard:",
        "mynetworks": "192.0.2.1/32", "smtpd_relay_restrictions": "reject_unauth_destination",
        "smtpd_recipient_restrictions": f"check_policy_service inet:127.0.0.1:{grey.port}"}))
    figaro = started(Figaro(folder / "figaro", port, domain="grey.example", messages_per_session=1,
                            configuration={"delivery": {"schedule": ["1s", "2s", "2s"], "jitter": 0}}))
    figaro.start()
    names = [send(figaro, 1, f"reader{each}@grey.example", name=f"g{each}-")[0] for each in range(20)]
    attempts = {}
    for each in names:
        wait_until(lambda: any(event.get("decision") == "delivered" for event in figaro.trace(each)), 60, "it passes")
        attempts[each] = [event for event in figaro.trace(each) if event["event"] == "attempt"]
    for story in attempts.values():
        assert len(story) >= 2 and story[0]["cause"] == "greylist"
        assert len({event["source"] for event in story}) == 1, "each triple from one address"
    log = (receiver.folder / "mail.log").read_text()
    assert len(re.findall(r"Greylisted, please try again", log)) >= 20
    assert len({event["source"] for story in attempts.values() for event in story}) > 5, "and all of them from many"
