"""Load balancers that say with XCLIENT for whom they speak: swaks, and a client of our own."""

import base64
import smtplib
import ssl
import subprocess

import pytest

from servers.driver import certificate
from servers.figaro import Figaro
from servers.process import wait_until
from servers.receiver import Receiver

balancer, stranger = "127.0.9.9", "203.0.113.9"


class World:
    """A relay whose only customer connects through a load balancer."""

    def __init__(self, folder, started):
        chain, key = certificate(folder, "relay.example")
        self.receiver = started(Receiver(folder / "receiver"))
        self.figaro = Figaro(folder / "figaro", self.receiver.port, configuration={
            "tls": {"certificates": [{"certificate": str(chain), "key": str(key)}]}})
        self.figaro.settings["listeners"][0] |= {"tls": "starttls", "xclient": [f"{balancer}/32"]}
        self.figaro.settings["customers"] = {"acme": {"networks": ["198.51.100.0/24", "2001:db8:7::/48"]}}
        self.figaro.write_configuration()
        started(self.figaro.start())

    def swaks(self, source, *words):
        done = subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--port", str(self.figaro.port), "--local-interface", source, "--helo",
             "customer.example", "--from", "author@acme.example", "--to", "reader@sink.example", "--timeout", "60",
             *words], capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def client(self, source=balancer):
        client = smtplib.SMTP("127.0.0.1", self.figaro.port, local_hostname="balancer.example", timeout=120,
                              source_address=(source, 0))
        client.ehlo()
        return client

    def log(self):
        return self.figaro.process.output.read_text()


@pytest.fixture
def world(folder, started):
    return World(folder, started)


def test_swaks_speaks_for_a_customer_and_for_a_stranger(world):
    words = ["--xclient-name", "mail.acme.example", "--xclient-port", "4000"]
    for name, place in (("four", "198.51.100.7"), ("six", "IPV6:2001:db8:7::1")):
        code, said = world.swaks(balancer, "--xclient-addr", place, *words, "--header", f"X-Test-ID: {name}")
        assert code == 0, said
    wait_until(lambda: len(world.receiver.record.by_id()) == 2, 60, "two messages arrive")
    arrived = world.receiver.record.by_id()
    for name, place in (("four", "[198.51.100.7]"), ("six", "[IPv6:2001:db8:7::1]")):
        content = world.receiver.record.content(arrived[name][0]).decode()
        assert f"from customer.example (mail.acme.example {place})" in content
    code, said = world.swaks(balancer, "--xclient-addr", stranger, *words)
    assert code != 0 and "550 5.7.1 Relay access denied" in said
    wait_until(lambda: stranger in world.log(), 60, "the log names the client")
    line = next(each for each in world.log().splitlines() if stranger in each)
    assert "4000" in line and balancer not in line
    assert world.swaks("127.0.9.8", "--xclient-addr", "198.51.100.7")[0] != 0, "it is not offered to others"


def test_a_client_of_our_own(world):
    with world.client("127.0.9.8") as other:
        assert not other.has_extn("xclient")
        assert other.docmd("XCLIENT", "ADDR=198.51.100.7") == (550, b"5.7.1 Insufficient authorization")
    with world.client() as client:
        assert client.esmtp_features["xclient"] == "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
        client.mail("author@acme.example")
        assert client.rcpt("reader@sink.example")[0] == 550, "a load balancer is no customer"
        assert client.docmd("XCLIENT", "ADDR=198.51.100.7")[0] == 503
        client.rset()
        assert client.docmd("XCLIENT", "ADDR=2001:db8:7::1")[0] == 501
        assert client.docmd("XCLIENT", "ADDR=198.51.100.7 HELO=x.acme.example PROTO=ESMTP")[0] == 220
        assert client.docmd("MAIL", "FROM:<author@acme.example>")[0] == 250
        assert client.docmd("RCPT", "TO:<reader@sink.example>")[0] == 250
        client.rset()
        assert client.docmd("XCLIENT", f"ADDR={stranger}")[0] == 550, "the client that is named is no load balancer"


def test_a_wrong_password_counts_for_the_client_that_is_named(world):
    world.figaro.command("customer", "add", "shop")
    world.figaro.command("credential", "add", "shop", "--user", "shop-web1")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with world.client() as client:
        assert client.docmd("XCLIENT", f"NAME=[TEMPUNAVAIL] ADDR={stranger}")[0] == 220
        client.ehlo()
        client.starttls(context=context)
        client.ehlo()
        words = base64.b64encode(b"\0shop-web1\0a guess").decode()
        assert client.docmd("AUTH", f"PLAIN {words}")[0] == 535
        client.mail("author@shop.example")
        assert client.rcpt("reader@sink.example")[0] == 550
    with world.client() as client:
        assert client.docmd("XCLIENT", f"ADDR={stranger} LOGIN=shop-web1 HELO=x PROTO=ESMTP")[0] == 220
        assert client.docmd("MAIL", "FROM:<author@shop.example>")[0] == 250
        assert client.docmd("RCPT", "TO:<reader@sink.example>")[0] == 250
    wait_until(lambda: "login" in world.log() and stranger in world.log(), 60, "the log tells who guessed")
    assert balancer not in world.log()
