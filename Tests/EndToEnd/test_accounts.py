"""Customers that log in: accounts in the spool, a real Postfix with SASL, and what is done about guessers."""

import base64
import json
import random
import smtplib
import socket
import ssl
import threading
import time

import pytest

from load.ledger import message
from servers.customer import LoggedIn
from servers.driver import certificate
from servers.figaro import Figaro
from servers.process import Failed, free_port, wait_until
from servers.receiver import Receiver


class World:
    """A relay with STARTTLS whose only declared customer is far away, and a receiver behind it."""

    def __init__(self, folder, started, **configuration):
        self.folder, self.started = folder, started
        chain, key = certificate(folder, "relay.example")
        self.receiver = started(Receiver(folder / "receiver"))
        self.figaro = Figaro(folder / "figaro", self.receiver.port, configuration={
            "tls": {"certificates": [{"certificate": str(chain), "key": str(key)}]}, **configuration})
        self.figaro.settings["listeners"][0]["tls"] = "starttls"
        self.figaro.settings["customers"] = {"far": {"networks": ["192.0.2.0/24"]}}
        self.figaro.write_configuration()
        started(self.figaro.start())

    def command(self, *words, **options):
        return self.figaro.command(*words, **options)

    def refused(self, *words):
        """What a command says that is refused."""
        with pytest.raises(Failed) as refusal:
            self.command(*words)
        return str(refusal.value)

    def login(self, customer="acme", user="app1"):
        """A login made by the relay: its password."""
        return json.loads(self.command("credential", "add", customer, "--user", user, "--json"))["password"]

    def client(self, source="127.0.0.1", tls=True):
        client = smtplib.SMTP("127.0.0.1", self.figaro.port, local_hostname="app.example", timeout=120,
                              source_address=(source, 0))
        if tls:
            client.starttls(context=untrusting())
        client.ehlo()
        return client

    def ids(self):
        return {each["id"] for each in self.receiver.record.messages()}

    def wait_for(self, name):
        wait_until(lambda: name in self.ids(), 60, f"{name} arrives")


def untrusting():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def attempt(client, user, password):
    """The code of the answer to AUTH PLAIN."""
    words = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    try:
        return client.docmd("AUTH", f"PLAIN {words}")[0]
    except smtplib.SMTPServerDisconnected:
        return 421


def send(client, name, sender="author@customer.example", recipient="reader@sink.example"):
    """Sends one message; what the relay answers to each step until one is refused."""
    return client.sendmail(sender, [recipient], message(name, 500, random.Random(name)))


@pytest.fixture
def world(folder, started):
    return World(folder, started)


def test_a_postfix_that_logs_in_sends_until_its_login_is_revoked(world, folder, started):
    with pytest.raises(smtplib.SMTPNotSupportedError):
        world.client().login("app1", "nobody has a login yet")
    world.command("customer", "add", "acme")
    password = world.login()
    postfix = started(LoggedIn(folder / "postfix", free_port(), world.figaro.port, "app1", password))
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
        send(client, "one")
    world.wait_for("one")
    assert "ESMTPSA" in world.receiver.record.content(world.receiver.record.by_id()["one"][0]).decode()
    row = json.loads(world.command("customer", "list", "--json").splitlines()[0])
    assert (row["name"], row["delivered"]) == ("acme", 1)
    assert json.loads(world.command("credential", "list", "--json"))["user"] == "app1"

    world.figaro.kill()
    world.figaro.start()
    open_session = world.client()
    open_session.login("app1", password)
    assert send(open_session, "two") == {}
    world.command("credential", "revoke", "acme", "--user", "app1")
    assert open_session.mail("author@customer.example")[0] == 421, "a session ends with its next message"
    assert world.command("credential", "list") == ""
    world.login(user="other")
    assert attempt(world.client(), "app1", password) == 535
    for place in (world.figaro.process.output, world.figaro.spool / "accounts.sqlite"):
        assert password.encode() not in place.read_bytes()


def test_auth_needs_tls_and_takes_plain_and_login(world):
    world.command("customer", "add", "acme")
    password = world.login()
    clear = world.client(tls=False)
    assert "auth" not in clear.esmtp_features
    assert attempt(clear, "app1", password) == 538
    for method in ("auth_plain", "auth_login"):
        client = world.client()
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        client.user, client.password = "app1", password
        assert client.auth(method[5:].upper(), getattr(client, method))[0] == 235
        assert send(client, method) == {}
        assert attempt(client, "app1", password) == 503
    stranger = world.client()
    stranger.mail("author@customer.example")
    assert stranger.rcpt("reader@sink.example")[0] == 550


def test_a_thousand_wrong_passwords(world):
    """At once, from 20 addresses; meanwhile the owner comes in, and afterwards from anywhere."""
    world.command("customer", "add", "acme")
    password = world.login()
    assert attempt(world.client(), "app1", password) == 235
    began, answers, guessers = time.monotonic(), [], []

    def guess(number):
        clients = [world.client(source=f"127.0.1.{number}") for _ in range(25)]
        for turn, client in enumerate(clients):
            words = base64.b64encode(f"\0app1\0guess {number} {turn}".encode()).decode()
            client.send(f"AUTH PLAIN {words}\r\n" * 2)
        for client in clients:
            answers.append(client.getreply()[0])
            answers.append(client.getreply()[0])

    for number in range(1, 21):
        guessers.append(threading.Thread(target=guess, args=(number,)))
        guessers[-1].start()
    wait_until(lambda: answers, 120, "guessing is under way")
    for _ in range(5):
        asked = time.monotonic()
        assert attempt(world.client(), "app1", password) == 235, "the owner, while others guess"
        print(f"login while others guess: {time.monotonic() - asked:.3f} s")
    for each in guessers:
        each.join(240)
    counts = {code: answers.count(code) for code in sorted(set(answers))}
    print(f"1,000 wrong passwords: {counts} in {time.monotonic() - began:.1f} s")
    assert len(answers) == 1000
    assert counts.keys() <= {535, 421, 454} and counts[535] > 0, "nobody got in"
    asked = time.monotonic()
    assert attempt(world.client(source="127.0.2.1"), "app1", "one more") == 535
    assert time.monotonic() - asked > 4, "it is slow by now, from any address"
    assert attempt(world.client(source="127.0.2.2"), "app1", password) == 235, "the right one is not"


def test_accounts_and_what_the_file_declares(world):
    assert "figaro.yaml:" in world.refused("customer", "set", "far", "--network", "198.51.100.0/24")
    assert "already" in world.refused("customer", "add", "acme", "--network", "192.0.2.0/24")
    assert "open relay" in world.refused("customer", "add", "acme", "--network", "0.0.0.0/0")
    assert "bits set" in world.refused("customer", "add", "acme", "--network", "127.0.0.1/8")
    assert "letters" in world.refused("customer", "add", "a b")
    assert "no customer" in world.refused("credential", "add", "acme", "--user", "app1")
    world.command("customer", "add", "acme", "--network", "127.0.0.0/8", "--language", "de")
    assert "already" in world.refused("customer", "add", "acme")
    assert "127.0.0.0/8" in world.command("customer", "show", "acme")
    assert "192.0.2.0/24" in world.command("customer", "show", "far")
    client = world.client(tls=False)
    assert send(client, "one") == {}
    world.command("customer", "set", "acme", "--network", "none")
    client = world.client(tls=False)
    client.mail("author@customer.example")
    assert client.rcpt("reader@sink.example")[0] == 550
    world.login()
    assert "belongs to" in world.refused("credential", "add", "acme", "--user", "app1")
    assert "app1" in world.refused("credential", "revoke", "acme", "--user", "app2")
    world.command("customer", "remove", "acme")
    assert "no customer" in world.refused("customer", "set", "acme", "--network", "none")
    assert "far" in world.command("customer", "list")


def test_nobody_sends_as_another_customer(world):
    world.command("customer", "add", "acme", "--sender", "acme.example", "--sender", "*.acme.example")
    world.command("customer", "add", "shop")
    acme, shop = (world.login(name, name) for name in ("acme", "shop"))
    client = world.client()
    client.login("shop", shop)
    assert client.mail("boss@acme.example") == (550, b"5.7.1 Sender address is not yours to use")
    assert client.mail("boss@mail.acme.example")[0] == 550
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        client.sendmail("x@shop.example", ["reader@sink.example"], letter("forged", "Boss <boss@acme.example>"))
    assert refusal.value.smtp_error == b"5.7.1 From: address is not yours to use"
    for author in ("", "x@shop.example\r\nFrom: x@shop.example", "a b <c", "boss@acme.example, x@shop.example"):
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("x@shop.example", ["reader@sink.example"], letter("forged", author))
    with pytest.raises(smtplib.SMTPDataError):
        client.sendmail("x@shop.example", ["reader@sink.example"], b"no header at all\r\n")
    assert client.sendmail("x@shop.example", ["reader@sink.example"], letter("own", "x@shop.example")) == {}
    other = world.client()
    other.login("acme", acme)
    assert other.mail("x@shop.example")[0] == 550, "only what it has declared"
    folded = letter("boss", "The\r\n Boss <b@x.acme.example>")
    assert other.sendmail("boss@acme.example", ["reader@sink.example"], folded) == {}
    assert other.sendmail("", ["reader@sink.example"], letter("notice", "mailer-daemon@acme.example")) == {}
    for name in ("own", "boss", "notice"):
        world.wait_for(name)
    assert "forged" not in world.ids()


def sent(client):
    """Whether one more message is taken."""
    try:
        return send(client, "more", "a@acme.example") == {}
    except smtplib.SMTPException:
        return False
    finally:
        client.close()


def letter(name, author):
    """A message of this author; nothing in place of the field where that is empty."""
    head = f"From: {author}\r\n" if author else ""
    return (f"{head}Subject: {name}\r\nX-Test-ID: {name}\r\nMessage-ID: <{name}@test.example>\r\n"
            f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\nhello\r\n").encode()


def test_limits_say_when_to_come_back(world):
    world.command("customer", "add", "acme", "--network", "127.0.0.0/8", "--limit", "recipients_per_day=5",
                  "--limit", "message_size=2KB", "--limit", "sessions=2")
    first, second, third = (world.client(tls=False) for _ in range(3))
    assert first.mail("a@acme.example", ["SIZE=5000"])[0] == 552
    assert third.mail("a@acme.example")[0] == 421
    refused = second.sendmail(
        "a@acme.example", [f"reader{number}@sink.example" for number in range(7)], letter("five", "a@acme.example"))
    wanted = (450, b"4.7.1 Too many recipients today, try again after 00:00 UTC")
    assert refused == {"reader5@sink.example": wanted, "reader6@sink.example": wanted}
    world.wait_for("five")
    second.mail("a@acme.example")
    assert second.rcpt("reader@sink.example")[0] == 450
    world.command("customer", "set", "acme", "--limit", "recipients_per_day=none")
    for each in (first, second):
        each.quit()
    wait_until(lambda: sent(world.client(tls=False)), 60, "there is room for more")
    assert "no limit" in world.refused("customer", "set", "acme", "--limit", "recipients=5")


def test_accounts_of_a_postfix_are_taken_over(world):
    files = world.folder / "old"
    files.mkdir()
    (files / "logins").write_text("@shop.example shop@shop.example\n")
    (files / "users").write_text("shop@shop.example s3cret pass\nold:{SSHA}abc\n")
    (files / "main.cf").write_text(
        f"mynetworks = 127.0.0.0/8 198.51.100.0/24\nsmtpd_sender_login_maps = hash:{files}/logins\n")
    words = ("import", "postfix", "--main", files / "main.cf", "--passwords", files / "users")
    dry = world.command(*words, "--dry-run", check=False)
    assert "customer postfix, networks 198.51.100.0/24" in dry and "shop.example" in dry and "s3cret" not in dry
    assert world.command("credential", "list") == "", "a dry run does nothing"
    assert "users:2: the password of old is kept as SSHA" in world.refused(*words)
    client = world.client()
    client.login("shop@shop.example", "s3cret pass")
    assert client.mail("x@elsewhere.example")[0] == 550
    assert client.sendmail("x@shop.example", ["reader@sink.example"], letter("moved", "x@shop.example")) == {}
    world.wait_for("moved")


def test_a_load_balancer_says_whose_a_connection_is(folder, started):
    world = World(folder, started)
    world.figaro.settings["listeners"].append(
        {"address": "127.0.0.1", "port": free_port(), "tls": "none", "proxy_protocol": ["127.0.9.9/32"]})
    world.figaro.write_configuration()
    world.figaro.stop()
    world.figaro.start()
    world.command("customer", "add", "acme", "--network", "198.51.100.0/24")

    def answer(header, source="127.0.9.9"):
        """What a client behind the load balancer gets to RCPT."""
        with socket.create_connection(
                ("127.0.0.1", world.figaro.settings["listeners"][1]["port"]), timeout=30,
                source_address=(source, 0)) as connection:
            connection.sendall(header + b"EHLO x\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<b@sink.example>\r\nQUIT\r\n")
            try:
                return connection.makefile("rb").read()
            except ConnectionResetError:
                return b""

    ours = b"PROXY TCP4 198.51.100.7 127.0.0.1 4000 25\r\n"
    assert b"250 2.1.5" in answer(ours)
    binary = bytes([198, 51, 100, 7, 127, 0, 0, 1, 15, 160, 0, 25])
    assert b"250 2.1.5" in answer(b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + binary)
    assert b"550 5.7.1 Relay access denied" in answer(b"PROXY TCP4 203.0.113.7 127.0.0.1 4000 25\r\n")
    assert answer(b"") == b"", "a load balancer that does not say it"
    assert b"550 5.7.1 Relay access denied" in answer(ours, "127.0.9.8"), "anybody else is who it is"


def test_an_account_has_a_route_and_a_filter_policy(folder, started):
    # Nothing listens there, so that nothing can be checked.
    world = World(folder, started, filter={"nodes": [f"127.0.0.1:{free_port()}"], "deadline": "1s"})
    ipmap = json.loads((world.figaro.folder / "ipmaps" / "test.yaml").read_text())
    ipmap["ranges"]["best"] = {"cidr": "127.78.0.0/30", "ehlo": "best-{4}.relay.example"}
    ipmap["pools"]["best"] = {"members": ["best"]}
    ipmap["routes"]["premium"] = {"when": "named", "steps": ["pool best/2"]}
    world.figaro.write_ipmap(ipmap)
    world.command("reload")
    assert "there are default, premium" in world.refused("customer", "add", "acme", "--route", "premiun")
    assert "add_header" in world.refused("customer", "add", "acme", "--filter", "reject=5", "--filter", "add_header=6")
    world.command("customer", "add", "acme", "--network", "127.0.0.0/8", "--route", "premium")
    assert unchecked(world) == 451
    world.command("customer", "set", "acme", "--filter", "unavailable=accept", "--filter", "reject=20")
    client = world.client(tls=False)
    assert send(client, "one") == {}
    world.wait_for("one")
    [event] = world.receiver.record.by_id()["one"]
    assert event["peer"].startswith("127.78.0."), "it left by the pool of its route"
    account = json.loads(world.command("customer", "show", "acme", "--json"))["account"]
    assert (account["route"], account["filter"]) == ("premium", {"unavailable": "accept", "reject": "20"})
    explained = world.command(
        "ipmap", "explain", "--sender", "author@customer.example", "--recipient", "reader@sink.example",
        "--customer", "acme")
    assert "route     premium" in explained and "which the customer's account names" in explained

    # A reload takes the route away; the account keeps its name for it.
    del ipmap["routes"]["premium"]
    world.figaro.write_ipmap(ipmap)
    warnings = json.loads(world.command("reload", "--json"))["warnings"]
    assert any("its route “premium” is in no ip map" in each for each in warnings), warnings
    world.figaro.kill()
    world.figaro.start()
    assert send(world.client(tls=False), "two") == {}
    world.wait_for("two")
    assert world.receiver.record.by_id()["two"][0]["peer"].startswith("127.77.0.")
    world.command("customer", "set", "acme", "--route", "none", "--filter", "unavailable=none")
    assert unchecked(world) == 451
    assert "route" not in json.loads(world.command("customer", "show", "acme", "--json"))["account"]


def unchecked(world):
    """The code of the answer to a message that no filter looks at."""
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        send(world.client(tls=False), "unchecked")
    return refusal.value.smtp_code


def test_a_closed_account_is_refused_until_it_is_reopened(world):
    world.command("customer", "add", "acme", "--network", "127.0.5.0/24")
    password = world.login()
    known, logged_in = world.client("127.0.5.1", tls=False), world.client()
    logged_in.login("app1", password)
    assert send(known, "one") == {}
    with pytest.raises(Failed):
        world.command("customer", "close", "acme")
    world.command("site", "suspend", "sink.example", "--reason", "so that mail waits")
    assert send(logged_in, "two") == {}
    world.command("customer", "close", "acme", "--reason", "unpaid, ticket 7")
    wanted = (550, b"5.7.1 Account is closed")
    for client in (known, logged_in):
        assert client.mail("author@customer.example") == wanted, "open sessions are refused as well"
    assert "is closed already" in world.refused("customer", "close", "acme", "--reason", "again")

    def is_refused():
        new = world.client("127.0.5.2", tls=False)
        new.mail("author@customer.example")
        return new.rcpt("reader@sink.example") == wanted and attempt(world.client(), "app1", password) == 535

    assert is_refused()
    assert attempt(world.client(), "app1", "wrong") == 535
    world.figaro.kill()
    world.figaro.start()
    assert is_refused(), "over a restart"
    row = json.loads(world.command("customer", "list", "--json").splitlines()[0])
    assert (row["name"], row["state"], row["account"]["closed"]["reason"]) == ("acme", "closed", "unpaid, ticket 7")
    assert "closed by" in world.command("customer", "show", "acme")
    world.command("site", "resume", "sink.example", "--reason", "mail goes on")
    world.wait_for("two")
    world.command("customer", "reopen", "acme", "--reason", "paid")
    assert "is not closed" in world.refused("customer", "reopen", "acme", "--reason", "paid")
    again = world.client()
    again.login("app1", password)
    assert send(again, "three") == {} and send(world.client("127.0.5.2", tls=False), "four") == {}
    log = world.figaro.process.output.read_text()
    assert 'reason="unpaid, ticket 7"' in log and "reason=paid" in log, "who changed what, and why, is in the log"


def test_what_file_and_spool_both_say_is_named(world):
    world.command("customer", "add", "acme", "--network", "127.0.5.0/24", "--network", "198.51.100.0/24")
    password = world.login()
    world.figaro.settings["customers"]["acme"] = {"networks": ["127.0.6.0/24"], "limits": {"message_size": "2KB"}}
    world.figaro.settings["customers"]["far"]["networks"].append("198.51.100.0/24")
    world.figaro.write_configuration()

    def check(warnings):
        assert any("figaro.yaml:" in each and "customers.acme: the spool keeps an account" in each and "app1" in each
                   for each in warnings), warnings
        assert any("198.51.100.0/24 is kept in the spool for customer acme as well; the file counts" in each
                   for each in warnings), warnings

    check(json.loads(world.command("config", "check", "--json"))["warnings"])
    check(json.loads(world.command("reload", "--json"))["warnings"])
    assert json.loads(world.command("customer", "show", "acme", "--json"))["account"]["kept"] == "file"
    clients = [world.client(source) for source in ("127.0.5.1", "127.0.6.1", "127.0.0.1")]
    clients[2].login("app1", password)
    for client in clients:
        assert client.mail("a@acme.example", ["SIZE=5000"])[0] == 552, "the limits are the file's"
    world.command("customer", "remove", "acme")
    assert "already" not in world.command("reload") and attempt(world.client(), "app1", password) in (502, 535)
    client = world.client("127.0.5.1", tls=False)
    client.mail("a@acme.example")
    assert client.rcpt("reader@sink.example")[0] == 550
