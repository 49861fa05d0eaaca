"""Several hosts of one domain: what one cannot take goes to another; and no receiver gets more of us than it may."""

import random
import smtplib
import time

import pytest

from load.ledger import message
from servers.figaro import Figaro, range_of_254
from servers.process import wait_until
from servers.receiver import Receiver
from servers.unbound import Unbound

two = ["@ MX 10 mx1.several.example.", "@ MX 20 mx2.several.example.", "mx1 A 127.88.22.1", "mx2 A 127.88.22.2"]


def relay(folder, started, zone, sites=None, **delivery):
    figaro = started(Figaro(
        folder / "figaro", ipmap={
            "ranges": {"loop": range_of_254()}, "pools": {"main": {"members": ["loop"], "messages_per_session": 50}},
            "routes": {"default": {"steps": ["pool main/4"]}}, "sites": sites or {}},
        configuration={"dns": {"servers": [f"127.0.0.1:{zone.port}"], "timeout": "3s"},
                       "delivery": {"allow": ["127.88.22.0/24:25"], "schedule": ["1s"], **delivery}}))
    return figaro.start()


def send(figaro, identifier, recipient, options="", content=None):
    """Returns the relay's own name for the message."""
    with smtplib.SMTP("127.0.0.1", figaro.port, timeout=30) as client:
        client.ehlo("customer.example")
        assert client.docmd(f"MAIL FROM:<author@customer.example>{options}")[0] == 250
        client.sock.sendall(f"RCPT TO:<{recipient}>\r\n".encode())
        assert client.getreply()[0] == 250
        code, text = client.data(content or message(identifier, 600, random.Random(1)))
        assert code == 250, text
        return text.decode().split()[-1]


def arrived(receiver, identifier):
    return len(receiver.record.by_id().get(identifier, []))


def test_what_one_host_does_not_offer_goes_to_another(folder, started):
    zone = started(Unbound(folder / "unbound", "several.example", two))
    first = started(Receiver(folder / "first", "--without", "SMTPUTF8", "--without", "8BITMIME", port=25,
                             address="127.88.22.1"))
    second = started(Receiver(folder / "second", port=25, address="127.88.22.2"))
    figaro = relay(folder, started, zone)
    send(figaro, "plain", "reader@several.example")
    send(figaro, "claimed", "reader@several.example", " BODY=8BITMIME SMTPUTF8")
    send(figaro, "utf8", "j\u00fcrgen@several.example", " SMTPUTF8")
    send(figaro, "8bit", "reader@several.example",
         content=message("8bit", 600, random.Random(1)) + "gr\u00fc\u00dfe\r\n".encode())
    wait_until(lambda: len(second.record.by_id()) == 2 and len(first.record.by_id()) == 2, 20, "all four arrive")
    assert [arrived(first, each) for each in ("plain", "claimed")] == [1, 1], "a claim is not a need"
    assert [arrived(second, each) for each in ("utf8", "8bit")] == [1, 1]
    assert "BODY=8BITMIME" in second.record.by_id()["8bit"][0]["sender"]
    assert "SMTPUTF8" in second.record.by_id()["utf8"][0]["sender"]
    assert "BODY" not in first.record.by_id()["claimed"][0]["sender"]


@pytest.mark.parametrize("eight_bit", ["as_is", None])
def test_what_no_host_offers_fails_or_goes_as_it_is(eight_bit, folder, started):
    zone = started(Unbound(folder / "unbound", "several.example", two))
    hosts = [started(Receiver(folder / f"mx{each}", "--without", "SMTPUTF8", "--without", "8BITMIME", port=25,
                              address=f"127.88.22.{each}")) for each in (1, 2)]
    figaro = relay(folder, started, zone, **({"eight_bit": eight_bit} if eight_bit else {}))
    utf8 = send(figaro, "utf8", "j\u00fcrgen@several.example", " SMTPUTF8")
    octets = message("8bit", 600, random.Random(1)) + "gr\u00fc\u00dfe\r\n".encode()
    bit = send(figaro, "8bit", "reader@several.example", content=octets)
    wait_until(lambda: "failed" in figaro.command("trace", utf8), 20, "without SMTPUTF8 there is no way")
    asked = {event["host"] for event in figaro.trace(utf8) if event.get("host")}
    assert asked == {"mx1.several.example", "mx2.several.example"}, "both hosts were asked"
    if eight_bit is None:
        wait_until(lambda: "failed" in figaro.command("trace", bit), 20, "8-bit content is not sent")
        assert all(not host.record.messages() for host in hosts)
    else:
        wait_until(lambda: sum(arrived(host, "8bit") for host in hosts) == 1, 20, "8-bit content arrives")
        host = next(host for host in hosts if arrived(host, "8bit"))
        assert host.record.content(host.record.by_id()["8bit"][0]).endswith(octets)
        assert "BODY" not in host.record.by_id()["8bit"][0]["sender"]


def test_a_domain_beyond_ascii_goes_as_a_labels_to_a_host_without_smtputf8(folder, started):
    zone = started(Unbound(folder / "unbound", "xn--bcher-kva.example", [
        "@ MX 10 mx.xn--bcher-kva.example.", "mx A 127.88.22.1"]))
    receiver = started(Receiver(folder / "receiver", "--without", "SMTPUTF8", port=25, address="127.88.22.1"))
    figaro = relay(folder, started, zone)
    send(figaro, "idn", "reader@b\u00fccher.example", " SMTPUTF8")
    wait_until(lambda: arrived(receiver, "idn") == 1, 20, "it arrives")
    assert receiver.record.by_id()["idn"][0]["recipients"] == ["TO:<reader@xn--bcher-kva.example>"]
    assert receiver.record.content(receiver.record.by_id()["idn"][0]).isascii()


def most_at_once(receiver):
    now = most = 0
    for event in receiver.record.refresh():
        now += {"connected": 1, "lost": -1}.get(event["kind"], 0)
        most = max(most, now)
    return most


def test_a_receiver_gets_no_more_sessions_and_messages_than_its_limits_say(folder, started):
    receiver = started(Receiver(folder / "receiver", "--slow", "0.02"))
    figaro = started(Figaro(folder / "figaro", receiver.port, ipmap={
        "ranges": {"loop": range_of_254()}, "pools": {"main": {"members": ["loop"], "messages_per_session": 50}},
        "sites": {"sink.example": {"host": "127.0.0.1", "port": receiver.port, "tls": "none", "sessions": 2,
                                   "messages_per_session": 5}}}))
    figaro.start()
    for number in range(40):
        send(figaro, f"limit{number}", "reader@sink.example")
    wait_until(lambda: len(receiver.record.by_id()) == 40, 60, "all arrive")
    assert most_at_once(receiver) <= 2
    carried = {}
    for event in receiver.record.messages():
        carried[event["peer"], event["port"]] = carried.get((event["peer"], event["port"]), 0) + 1
    assert max(carried.values()) <= 5, carried


def test_a_receiver_gets_its_mail_at_its_rate(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port, ipmap={
        "ranges": {"loop": range_of_254()}, "pools": {"main": {"members": ["loop"]}},
        "sites": {"sink.example": {"host": "127.0.0.1", "port": receiver.port, "tls": "none", "rate": "10/s"}}}))
    figaro.start()
    for number in range(40):
        send(figaro, f"rate{number}", "reader@sink.example")
    wait_until(lambda: len(receiver.record.by_id()) == 40, 60, "all arrive")
    times = sorted(event["time"] for event in receiver.record.messages())
    # Ten at once, then ten a second; the ticks in which time is looked at are a quarter of a second.
    for first, last in zip(times, times[24:]):
        assert last - first > 0.9, "more than 24 within a second"
    assert times[-1] - times[0] < 10 and time.time() > times[-1]
