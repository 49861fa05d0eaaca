"""What clients say on the wire, and what they must never get away with."""

import random
import signal
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from load.ledger import message
from servers.figaro import Figaro, binary
from servers.process import free_port, listening, wait_until
from servers.receiver import Receiver


class Wire:
    """A connection that sends octets as they are and reads whole replies."""

    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=20)
        self.file = self.socket.makefile("rb")

    def say(self, octets):
        self.socket.sendall(octets)
        return self.reply()

    def reply(self):
        lines = []
        while True:
            line = self.file.readline()
            lines.append(line)
            if line[3:4] != b"-":
                return b"".join(lines).decode("latin-1")

    def envelope(self):
        self.reply()
        self.say(b"EHLO customer.example\r\n")
        assert self.say(b"MAIL FROM:<author@customer.example>\r\n").startswith("250")
        assert self.say(b"RCPT TO:<reader@sink.example>\r\n").startswith("250")
        assert self.say(b"DATA\r\n").startswith("354")

    def ended(self):
        """Whether the server has closed the connection."""
        try:
            return self.file.read() == b""
        except OSError:
            return True

    def close(self):
        self.socket.close()


@pytest.fixture
def relay(folder, started):
    """A relay with a receiver behind it, small limits, and a port for each way of TLS."""
    made = started(Receiver(folder / "receiver"))
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    make_certificate(key, certificate, "relay.example")
    ports = {"starttls": free_port(), "implicit": free_port()}
    figaro = Figaro(folder / "figaro", made.port, configuration={
        "limits": {"message_size": "1MB", "recipients": 100, "errors": 5, "command_timeout": "3s",
                   "connections_per_client": 15},
        "tls": {"certificates": [{"certificate": str(certificate), "key": str(key)}]},
        "customers": {"acme": {"networks": ["127.0.0.1/32"]}}})
    figaro.settings["listeners"] += [
        {"address": "127.0.0.1", "port": port, "tls": mode} for mode, port in ports.items()]
    figaro.write_configuration()
    started(figaro.start())
    figaro.ports, figaro.receiver, figaro.certificate = ports, made, certificate
    return figaro


def make_certificate(key, certificate, name):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-keyout", key, "-out", certificate, "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"],
        check=True, capture_output=True, timeout=60)


def swaks(*words):
    return subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--from", "author@customer.example", "--to", "reader@sink.example",
         "--helo", "customer.example", "--timeout", "15", *map(str, words)], capture_output=True, text=True, timeout=60)


def test_a_client_that_is_not_ours_gets_through_plain_starttls_and_implicit_tls(relay):
    ways = {"plain": ["--port", relay.port], "starttls": ["--port", relay.ports["starttls"], "--tls"],
            "implicit": ["--port", relay.ports["implicit"], "--tls-on-connect"]}
    for name, words in ways.items():
        done = swaks(*words, "--header", f"X-Test-ID: {name}")
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr
    wait_until(lambda: len(relay.receiver.record.by_id()) == 3, 15, "three messages arrive")
    arrived = relay.receiver.record.by_id()
    for name, word in (("plain", b"with ESMTP id"), ("starttls", b"with ESMTPS id"), ("implicit", b"with ESMTPS id")):
        assert word in relay.receiver.record.content(arrived[name][0])


def test_the_extensions_are_offered_and_starttls_only_where_it_works(relay):
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=15) as client:
        client.ehlo("customer.example")
        for name in ("pipelining", "size", "8bitmime", "chunking", "smtputf8", "enhancedstatuscodes"):
            assert client.has_extn(name), name
        assert not client.has_extn("starttls")
    with smtplib.SMTP("127.0.0.1", relay.ports["starttls"], timeout=15) as client:
        client.ehlo("customer.example")
        assert client.has_extn("starttls")


def test_words_smuggled_in_before_the_handshake_are_not_believed(relay):
    wire = Wire(relay.ports["starttls"])
    wire.reply()
    wire.say(b"EHLO customer.example\r\n")
    reply = wire.say(b"STARTTLS\r\nMAIL FROM:<intruder@customer.example>\r\n")
    assert reply.startswith("554"), reply
    assert wire.ended()


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n\r\n.\r\n"])
def test_a_bare_cr_or_lf_in_content_ends_the_session_and_nothing_is_sent(relay, end):
    wire = Wire(relay.port)
    wire.envelope()
    smuggled = b"MAIL FROM:<intruder@customer.example>\r\nRCPT TO:<reader@sink.example>\r\nDATA\r\nX-Test-ID: evil\r\n"
    reply = wire.say(b"X-Test-ID: outer\r\n\r\nhello" + end + smuggled + b"\r\nx\r\n.\r\n")
    assert reply.startswith("554"), reply
    assert wire.ended()
    time.sleep(0.5)
    assert relay.receiver.record.messages() == []


def test_a_client_that_has_closed_its_side_still_gets_its_replies(relay):
    """Exim says QUIT with the final dot and closes its direction; without the 250 it would send the message again."""
    wire = Wire(relay.port)
    wire.envelope()
    wire.socket.sendall(message("half1", 5000, random.Random(1)) + b".\r\nQUIT\r\n")
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.reply().startswith("250")
    assert wire.reply().startswith("221")
    assert wire.ended()


def test_a_bare_lf_after_a_command_is_refused(relay):
    wire = Wire(relay.port)
    wire.reply()
    assert wire.say(b"EHLO customer.example\n").startswith("554")
    assert wire.ended()


def test_strangers_may_not_relay(relay):
    """The customer is 127.0.0.1; another address of this machine is a stranger."""
    with socket.socket() as client:
        client.bind(("127.66.0.1", 0))
        client.settimeout(15)
        client.connect(("127.0.0.1", relay.port))
        file = client.makefile("rb")
        replies = [file.readline()]
        for line in (b"HELO stranger.example", b"MAIL FROM:<a@stranger.example>", b"RCPT TO:<reader@sink.example>"):
            client.sendall(line + b"\r\n")
            replies.append(file.readline())
        assert any(reply.startswith((b"550", b"554")) and b"5.7.1" in reply for reply in replies), replies


def test_limits_on_size_recipients_lines_and_errors(relay):
    wire = Wire(relay.port)
    wire.reply()
    wire.say(b"EHLO customer.example\r\n")
    assert wire.say(b"MAIL FROM:<author@customer.example> SIZE=2000000\r\n").startswith("552")
    assert wire.say(b"MAIL FROM:<author@customer.example>\r\n").startswith("250")
    replies = [wire.say(f"RCPT TO:<reader{each}@sink.example>\r\n".encode())[:9] for each in range(101)]
    assert all(reply.startswith("250") for reply in replies[:100]) and replies[100] == "452 4.5.3"
    assert wire.say(b"DATA\r\n").startswith("354")
    assert wire.say(b"X-A: b\r\n\r\n" + b"x" * 999 + b"\r\n.\r\n").startswith("554")
    wire.close()

    wire = Wire(relay.port)
    wire.envelope()
    assert wire.say(b"X-A: b\r\n\r\n" + (b"x" * 900 + b"\r\n") * 1300 + b".\r\n").startswith("552")
    replies = []
    while len(replies) < 6 and not "".join(replies[-1:]).startswith("421"):
        replies.append(wire.say(b"NONSENSE\r\n"))
    assert replies[-1].startswith("421"), replies
    assert wire.ended()


def test_a_loop_is_found_by_its_received_fields(relay):
    wire = Wire(relay.port)
    wire.envelope()
    assert wire.say(b"Received: from a by b\r\n" * 60 + b"\r\nround and round\r\n.\r\n").startswith("554 5.4.6")
    wire.close()


def test_a_silent_client_is_let_go_and_too_many_are_turned_away(relay):
    silent = Wire(relay.port)
    silent.reply()
    assert silent.reply().startswith("421")
    assert silent.ended()

    def greetings():
        clients = [Wire(relay.port) for _ in range(20)]
        said = [client.reply()[:3] for client in clients]
        for client in clients:
            client.close()
        return said.count("220"), said.count("421")

    # Sessions of the tests before that were cut off may take two seconds to be gone.
    wait_until(lambda: greetings() == (15, 5), 15, "fifteen are taken, five turned away", 1)


def test_sigterm_ends_with_421_and_keeps_what_was_accepted(relay):
    idle = Wire(relay.port)
    idle.reply()
    idle.say(b"EHLO customer.example\r\n")
    with smtplib.SMTP("127.0.0.1", relay.port, "customer.example", timeout=15) as client:
        client.sendmail("author@customer.example", ["reader@sink.example"], message("last1", 3000, random.Random(1)))
    relay.process.signal(signal.SIGTERM)
    assert idle.reply().startswith("421")
    relay.process.child.wait(30)
    assert relay.process.child.returncode == 0, relay.process.tail()
    assert not listening("127.0.0.1", relay.port)
    relay.start()
    wait_until(lambda: "last1" in relay.receiver.record.by_id(), 20, "the last message arrives")
    assert len(relay.receiver.record.by_id()["last1"]) == 1


def test_a_certificate_is_replaced_without_a_restart(relay, folder):
    def subject():
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", relay.ports["implicit"]), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="relay.example") as secure:
                return secure.getpeercert(binary_form=True)
    before = subject()
    make_certificate(folder / "key.pem", folder / "certificate.pem", "new.relay.example")
    relay.process.signal(signal.SIGHUP)
    wait_until(lambda: subject() != before, 15, "the new certificate is shown", 0.5)
    assert relay.process.alive()


def test_addresses_of_every_shape_pass_unchanged(relay):
    shapes = ['"quoted local"@sink.example', "plus+tag@sink.example", "gr\u00fc\u00dfe@sink.example",
              "A.b@sink.example"]
    with smtplib.SMTP("127.0.0.1", relay.port, timeout=15) as client:
        client.ehlo("customer.example")
        for number, shape in enumerate(shapes):
            extension = "" if shape.isascii() else " SMTPUTF8"
            code, text = client.docmd(f"MAIL FROM:<author@customer.example>{extension}")
            assert code == 250, text
            client.sock.sendall(f"RCPT TO:<{shape}>\r\n".encode())
            assert client.getreply()[0] == 250, shape
            assert client.data(message(f"shape{number}", 600, random.Random(1)))[0] == 250
    wait_until(lambda: len(relay.receiver.record.by_id()) == len(shapes), 15, "all arrive")
    for number, shape in enumerate(shapes):
        assert relay.receiver.record.by_id()[f"shape{number}"][0]["recipients"] == [f"TO:<{shape}>"]


def test_a_second_relay_on_the_same_spool_is_refused(relay, folder):
    other = subprocess.run([*map(str, (binary(), "serve", "--config", relay.config, "--port", free_port()))],
                           capture_output=True, text=True, timeout=30)
    assert other.returncode not in (0, None), "two relays on one spool would send everything twice"
    assert relay.process.alive()
