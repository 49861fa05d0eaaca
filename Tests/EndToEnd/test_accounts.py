"""Customers that log in: accounts in the spool, a real Postfix with SASL, and what is done about guessers."""

import base64
import json
import random
import smtplib
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
