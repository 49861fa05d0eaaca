"""Content in chunks (BDAT, RFC 3030): from a real Exim, and from a client that cuts it wherever it can be cut."""

import random
import socket
import time

import pytest

from load.checks import added_fields, check_exactly_once
from load.corpus import corpus, submit
from load.ledger import message
from servers.exim import Exim
from servers.figaro import Figaro
from servers.process import free_port, wait_until
from servers.proxy import Proxy
from servers.receiver import Receiver

envelope = b"MAIL FROM:<author@customer.example>\r\nRCPT TO:<reader@sink.example>\r\n"


def test_all_mail_of_exim_arrives_once_and_identical_in_chunks(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    proxy = started(Proxy(folder / "proxy", figaro.port))
    server = started(Exim(folder / "exim", free_port(), proxy.port, chunking=True))
    messages = submit(server.port, corpus(500, 31, "b", large=2))
    server.wait_empty(120)
    wait_until(lambda: len(receiver.record.by_id()) == len(messages), 60, "every message arrives", 0.2)
    check_exactly_once(messages, proxy.record, receiver.record)
    chunks = [each["chunks"] for each in proxy.record.messages()]
    assert min(chunks) >= 1, "Exim uses BDAT wherever it is offered"
    assert max(chunks) > 1, "and more than one chunk for what is large"


@pytest.fixture
def relay(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={
        "limits": {"message_size": "1MB", "errors": 50}}))
    started(figaro.start())
    figaro.receiver = receiver
    return figaro


class Client:
    """Says octets, reads replies."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.reply()

    def reply(self):
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return line.decode("latin-1")

    def ask(self, octets):
        self.socket.sendall(octets)
        return self.reply()

    def hello(self):
        assert self.ask(b"EHLO customer.example\r\n").startswith("250")
        return self

    def envelope(self):
        self.socket.sendall(envelope)
        assert [self.reply()[:3], self.reply()[:3]] == ["250", "250"]

    def ended(self):
        try:
            return self.file.read() == b""
        except OSError:
            return True


def arrived(relay, sent):
    """The receiver has each of `sent` (by identifier) once, and octet for octet."""
    wait_until(lambda: len(relay.receiver.record.by_id()) == len(sent), 30, "every message arrives", 0.1)
    for identifier, copies in relay.receiver.record.by_id().items():
        assert len(copies) == 1, identifier
        assert added_fields(sent[identifier], relay.receiver.record.content(copies[0])) == ["Received"], identifier


def test_chunks_cut_at_every_octet(relay):
    client, sent = Client(relay.port).hello(), {}
    for cut in range(1, len(message("cut000", 0, random.Random(1)))):
        identifier = f"cut{cut:03d}"
        content = message(identifier, 0, random.Random(cut))
        client.envelope()
        assert client.ask(b"BDAT %d\r\n" % cut + content[:cut]).startswith("250")
        rest = content[cut:]
        assert client.ask(b"BDAT %d LAST\r\n" % len(rest) + rest).startswith("250"), cut
        sent[identifier] = content
    content = message("octets", 0, random.Random(2))
    client.envelope()
    for octet in content:
        assert client.ask(b"BDAT 1\r\n" + bytes([octet])).startswith("250")
    assert client.ask(b"BDAT 0 LAST\r\n").startswith("250")
    sent["octets"] = content
    arrived(relay, sent)


def test_the_wire_cut_at_every_octet(relay):
    """One transaction in one go, and the same with a pause at each octet of it: the replies are the same."""
    content = message("wire0000", 0, random.Random(3))
    half = len(content) // 2
    client, sent = Client(relay.port).hello(), {}
    length = len(envelope) + len(content) + len(b"BDAT %d\r\nBDAT %d LAST\r\n" % (half, len(content) - half))
    for cut in range(length + 1):
        identifier = f"wire{cut:04d}"
        sent[identifier] = content = message(identifier, 0, random.Random(cut))
        octets = (envelope + b"BDAT %d\r\n" % half + content[:half]
                  + b"BDAT %d LAST\r\n" % (len(content) - half) + content[half:])
        client.socket.sendall(octets[:cut])
        time.sleep(0.001)
        client.socket.sendall(octets[cut:])
        replies = [client.reply() for _ in range(4)]
        assert all(reply.startswith("250") for reply in replies), (cut, replies)
    arrived(relay, sent)


@pytest.mark.parametrize("length", [
    "0", "-1", "-0", "4294967296", "4294967295", "18446744073709551616", "18446744073709551615", "9223372036854775807",
    "9223372036854775808", "340282366920938463463374607431768211456", "2097153", "9" * 500, "0x10", "1e3", "five", ""])
@pytest.mark.parametrize("last", ["", " LAST"])
def test_absurd_lengths_are_refused_and_the_relay_lives(relay, length, last):
    client = Client(relay.port).hello()
    client.envelope()
    reply = client.ask(f"BDAT {length}{last}\r\n".encode())
    assert reply[0] == "5", reply
    if length != "0":
        assert client.ended(), "where the chunk ends is unknown or too far away"
    assert relay.process.alive()
    other = Client(relay.port).hello()
    other.envelope()
    content = message("after", 0, random.Random(1))
    assert other.ask(b"BDAT %d LAST\r\n" % len(content) + content).startswith("250")


def test_more_than_size_is_taken_and_refused_and_the_session_goes_on(relay):
    client = Client(relay.port).hello()
    client.envelope()
    large = message("large", 1_200_000, random.Random(1))
    assert client.ask(b"BDAT %d LAST\r\n" % len(large) + large).startswith("552")
    client.envelope()
    for _ in range(3):
        part = large[:400_000]
        reply = client.ask(b"BDAT %d\r\n" % len(part) + part)
    assert reply.startswith("552"), reply
    assert client.ask(b"RSET\r\n").startswith("250")
    content = message("small", 0, random.Random(1))
    client.envelope()
    assert client.ask(b"BDAT %d LAST\r\n" % len(content) + content).startswith("250")
    arrived(relay, {"small": content})


@pytest.mark.parametrize("content", [b"X-A: b\r\n\r\nno line end", b"X-A: b\r\n\r\nhalf\r", b"X-A: b\r\n\r\nfeed\n",
                                     b"X-A: b\r\n\r\na\n.\nb\r\n", b"X-A: b\r\n\r\na\rb\r\n", b""])
def test_content_that_is_no_lines_is_refused(relay, content):
    client = Client(relay.port).hello()
    client.envelope()
    assert client.ask(b"BDAT %d LAST\r\n" % len(content) + content).startswith("554")
    time.sleep(0.3)
    assert relay.receiver.record.messages() == []
    assert relay.process.alive()


def test_large_content_in_large_chunks_goes_through_a_file(relay):
    content = message("file", 900_000, random.Random(5))
    client = Client(relay.port).hello()
    client.envelope()
    for start in range(0, len(content), 150_000):
        part = content[start:start + 150_000]
        last = b" LAST" if start + 150_000 >= len(content) else b""
        assert client.ask(b"BDAT %d%s\r\n" % (len(part), last) + part).startswith("250")
    arrived(relay, {"file": content})
