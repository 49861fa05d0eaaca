"""Customers known by the certificate their server shows: a real Postfix, OpenSSL, and accounts in the spool."""

import smtplib
import ssl
import subprocess

import pytest

from servers.driver import certificate
from servers.figaro import Figaro
from servers.postfix import Postfix
from servers.process import Failed, free_port, wait_until
from servers.receiver import Receiver


def letter(name):
    return (f"From: author@acme.example\r\nSubject: {name}\r\nX-Test-ID: {name}\r\n"
            f"Message-ID: <{name}@test.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nhello\r\n").encode()


class Identity:
    """A certificate of a customer's server with its key, and its fingerprints as the guide has them made."""

    def __init__(self, folder, name):
        folder.mkdir()
        self.chain, self.key = certificate(folder, name)

    def print(self):
        done = subprocess.run(["openssl", "x509", "-noout", "-sha256", "-fingerprint", "-in", self.chain],
                              check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip().partition("=")[2]

    def key_print(self):
        command = (f"openssl x509 -in '{self.chain}' -noout -pubkey | openssl pkey -pubin -outform DER "
                   "| openssl dgst -sha256 -c")
        done = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip().rpartition(" ")[2]


class World:
    """A relay with STARTTLS that knows one customer by its certificate and nobody by an address."""

    def __init__(self, folder, started):
        self.known, self.other = Identity(folder / "known", "a.example"), Identity(folder / "other", "a.example")
        chain, key = certificate(folder, "relay.example")
        self.receiver = started(Receiver(folder / "receiver"))
        self.figaro = Figaro(folder / "figaro", self.receiver.port, configuration={
            "tls": {"certificates": [{"certificate": str(chain), "key": str(key)}]}})
        self.figaro.settings["listeners"][0]["tls"] = "starttls"
        self.figaro.settings["customers"] = {"acme": {"certificates": [self.known.print()]}}
        self.figaro.write_configuration()
        started(self.figaro.start())

    def client(self, shown=None):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if shown:
            context.load_cert_chain(shown.chain, shown.key)
        client = smtplib.SMTP("127.0.0.1", self.figaro.port, local_hostname="app.example", timeout=120)
        client.starttls(context=context)
        client.ehlo()
        return client

    def may_relay(self, shown=None):
        with self.client(shown) as client:
            client.mail("author@acme.example")
            return client.rcpt("reader@sink.example")[0] == 250

    def openssl(self, *options):
        """What `openssl s_client` prints that says a recipient and goes."""
        words = b"EHLO c.example\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<b@sink.example>\r\nQUIT\r\n"
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.figaro.port}", "-starttls", "smtp", "-nocommands",
             "-ign_eof", *map(str, options)], input=words, capture_output=True, timeout=120)
        return done.stdout.decode()

    def wait_for(self, name):
        wait_until(lambda: name in self.receiver.record.by_id(), 60, f"{name} arrives")


@pytest.fixture
def world(folder, started):
    return World(folder, started)


def test_a_postfix_is_known_by_its_certificate(world, folder, started):
    relay = f"[127.0.0.1]:{world.figaro.port}"
    settings = {"smtp_tls_security_level": "encrypt"}
    known = started(Postfix(folder / "known-postfix", free_port(), relay, {
        **settings, "smtp_tls_cert_file": world.known.chain, "smtp_tls_key_file": world.known.key}))
    stranger = started(Postfix(folder / "stranger", free_port(), relay, settings))
    for postfix, name in ((known, "one"), (stranger, "two")):
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
            client.sendmail("author@acme.example", ["reader@sink.example"], letter(name))
    world.wait_for("one")
    assert "with ESMTPS (client certificate) id " in world.receiver.record.content(
        world.receiver.record.by_id()["one"][0]).decode()
    log = stranger.folder / "mail.log"
    wait_until(lambda: "550 5.7.1 Relay access denied" in log.read_text(), 60, "the other is refused")
    assert "two" not in world.receiver.record.by_id()
    known = f"certificate {world.known.print()[:23]}"
    assert known in world.figaro.process.output.read_text(), "the log says how it was known"
    message = world.figaro.process.output.read_text().partition("event=accepted message=")[2].split()[0]
    assert world.figaro.trace(message)[0]["known_by"] == known


def test_openssl_in_both_versions_and_a_session_resumed(world, folder):
    shown = ("-cert", world.known.chain, "-key", world.known.key)
    for version in ("-tls1_2", "-tls1_3"):
        kept = folder / f"session{version}"
        first = world.openssl(version, *shown, "-sess_out", kept)
        assert "250 2.1.5 Ok" in first and "New, TLSv1." in first
        again = world.openssl(version, *shown, "-sess_in", kept)
        assert "250 2.1.5 Ok" in again and "Reused, TLSv1." in again
        without = world.openssl(version, "-sess_out", kept)
        assert "550 5.7.1 Relay access denied" in without and "250-SIZE" in without
        assert "550 5.7.1 Relay access denied" in world.openssl(version, "-sess_in", kept)
        assert "550 5.7.1 Relay access denied" in world.openssl(
            version, "-cert", world.other.chain, "-key", world.other.key)


def test_keys_of_every_kind_and_a_certificate_that_is_past(world, folder):
    """Unknown at first, and a session all the same; then known."""
    kinds = {"ed25519": ["ed25519"], "rsa": ["rsa:2048"], "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]}
    identities = []
    for name, kind in kinds.items():
        made = Identity(folder / name, "a.example")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "1", "-keyout", made.key, "-out",
             made.chain, "-subj", "/CN=a.example"], check=True, capture_output=True, timeout=60)
        identities.append(made)
    past = Identity(folder / "past", "a.example")
    done = subprocess.run(
        ["openssl", "x509", "-in", past.chain, "-signkey", past.key, "-days", "-1", "-out", past.chain],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    identities.append(past)
    assert not any(world.may_relay(each) for each in identities)
    words = [word for each in identities for word in ("--certificate", each.print())]
    world.figaro.command("customer", "add", "shop", *words)
    assert all(world.may_relay(each) for each in identities)


def test_certificates_kept_in_the_spool(world):
    def refused(*words):
        with pytest.raises(Failed) as refusal:
            world.figaro.command(*words)
        return str(refusal.value)

    assert "is not a SHA-256 fingerprint such as" in refused("customer", "add", "shop", "--certificate", "AB:CD")
    assert "belongs to customer acme" in refused("customer", "add", "shop", "--certificate", world.known.print())
    world.figaro.command("customer", "add", "shop", "--certificate", world.other.key_print())
    assert world.other.key_print().upper() in world.figaro.command("customer", "show", "shop")
    assert world.may_relay(world.other) and not world.may_relay()
    world.figaro.kill()
    world.figaro.start()
    with world.client(world.other) as session:
        assert session.esmtp_features["auth"].split() == ["EXTERNAL"]
        assert session.docmd("AUTH", "EXTERNAL =")[0] == 235
        assert session.mail("a@shop.example")[0] == 250 and session.rset()[0] == 250
        world.figaro.command("customer", "set", "shop", "--certificate", "none")
        assert session.mail("a@shop.example") == (421, b"4.7.0 Your login is no longer valid")
    assert not world.may_relay(world.other) and world.may_relay(world.known)
    world.figaro.settings["customers"]["acme"]["certificates"] = ["8F:43"]
    world.figaro.write_configuration()
    said = refused("reload")
    assert "figaro.yaml:" in said and "customers.acme.certificates[0]" in said and "8F:43:…:C5" in said
