"""What receivers refuse because of our addresses goes to a relay: a real Postfix with TLS and AUTH, in its moods."""

import email
import email.policy
import json
import re
import time

import pytest

from load.notices import checked
from servers.driver import certificate
from servers.figaro import Figaro, range_of_254
from servers.house import House
from servers.process import free_port, wait_until
from servers.provider import Provider, Watch
from servers.receiver import Receiver
from servers.smarthost import Smarthost
from servers.unbound import Unbound
from test_causes import events, send, wait_for_end
from test_metrics import ask


class Closed(Provider):
    """Has all of our addresses on its list."""

    name = "closed"

    def judge(self, phase, peer, what):
        if phase == "rcpt":
            return f"554 5.7.1 Service unavailable; Client host [{peer}] blocked using zen.spamhaus.org"


class World:
    """A receiver that takes nothing from us, a friendly one, the relay's name, and the sender's own server."""

    def __init__(self, folder, started, within="60s", relay=None, trusted=True, **settings):
        self.folder, self.started = folder, started
        self.watch = started(Watch(Closed("127.66.5.1"), Provider("127.66.5.2")))
        self.sink = started(Receiver(folder / "sink"))
        zone = started(Unbound(folder / "unbound", "provider.example", ["smtp A 127.0.0.1"]))
        self.chain, self.key = certificate(folder, Smarthost.name)
        (folder / "stranger").mkdir()
        stranger, _ = certificate(folder / "stranger", Smarthost.name)
        house = House(folder / "house", authorities=self.chain if trusted else stranger)
        self.port = free_port()
        self.password = folder / "figaro/ipmaps/provider"
        self.password.parent.mkdir(parents=True)
        self.write_password("s3cret")
        sites = {each.domain: {"host": each.address, "port": each.port, "tls": "none"}
                 for each in self.watch.providers}
        sites["customer.example"] = {"host": "127.0.0.1", "port": self.sink.port, "tls": "none"}
        self.map = {
            "ranges": {"loop": range_of_254()}, "pools": {"main": {"members": ["loop"]}}, "sites": sites,
            "relays": {"provider": {"host": Smarthost.name, "port": self.port, "username": "figaro",
                                    "password_file": "provider", **(relay or {})}},
            "routes": {"default": {"steps": ["pool main/1", f"relay provider/{within}"]}}}
        self.map["relays"]["provider"] = {
            key: value for key, value in self.map["relays"]["provider"].items() if value is not None}
        self.figaro = Figaro(folder / "figaro", ipmap=self.map, wrapper=house.wrapper, configuration={
            "dns": {"servers": [f"127.0.0.1:{zone.port}"], "timeout": "2s"},
            "metrics": {"port": free_port()}, "notices": {"gather": "0s"},
            "delivery": {"allow": ["127.0.0.0/8"], "schedule": ["1s"], "jitter": 0,
                         **settings.pop("delivery", {})}, **settings})
        started(self.figaro).start()

    def write_password(self, password):
        self.password.write_text(password + "\n")
        self.password.chmod(0o640)

    def smarthost(self, **options):
        return self.started(Smarthost(
            self.folder / "smarthost", self.sink.port, self.chain, self.key, port=self.port, **options))

    def arrived(self, name, seconds=30):
        """What came of a letter at the end of its way, once it has."""
        found = wait_until(lambda: self.sink.record.by_id().get(name), seconds, f"{name} arrives")
        assert len(found) == 1
        return self.sink.record.content(found[0])

    def told(self):
        """The notices that the sender has."""
        return [message for message in self.sink.record.messages() if message["sender"].startswith("FROM:<>")]

    def report(self, seconds=40):
        """The only notice, taken apart."""
        wait_until(self.told, seconds, "the sender is told")
        [notice] = self.told()
        content = b"Return-Path: <>\r\n" + self.sink.record.content(notice)
        return checked(email.message_from_bytes(content, policy=email.policy.default), "author@customer.example")

    def at_relay(self, letter):
        """How a letter stands at the relay, in words, once it does."""
        def stands():
            parts = json.loads(self.figaro.command("explain", letter, "--json"))["parts"]
            return next((part["relay"] for part in parts if part.get("relay")), None)
        return wait_until(stands, 20, "it is at the relay", 0.1)


@pytest.mark.parametrize("tls", ["required", "implicit"])
def test_a_real_relay_takes_what_the_receiver_does_not_and_what_it_refuses_is_told(tls, folder, started):
    world = World(folder, started, relay={"tls": tls})
    smarthost = world.smarthost(settings={
        "smtpd_tls_wrappermode": "yes" if tls == "implicit" else "no",
        "smtpd_recipient_restrictions":
            "check_recipient_access inline:{ {unwanted@closed.example = 554 5.7.1 not through us either} }"})
    letter = send(world.figaro, "reader@closed.example", name="taken")
    content = world.arrived("taken")
    assert b"(Authenticated sender: figaro" in content and b"using TLSv1" in content
    assert wait_for_end(world.figaro, letter) == ["relayed"] and not world.told()
    direct, handed = events(world.figaro, letter)
    assert (direct["cause"], direct["decision"]) == ("source", "the relay"), direct
    assert handed["decision"] == "relayed" and handed["host"] == Smarthost.name
    refused = send(world.figaro, "unwanted@closed.example", name="unwanted")
    assert wait_for_end(world.figaro, refused) == ["failed"]
    report = world.report()
    fields = report.only()
    said = " ".join(report.text.split())
    assert "zen.spamhaus.org" in fields["Diagnostic-Code"] and fields["Action"] == "failed"
    assert "zen.spamhaus.org" in said and "not through us either" in said, "the receiver first, then the relay"
    assert report.original["X-Test-ID"] == "unwanted"
    assert smarthost.log().count("sasl_username=figaro") >= 1


def until(words):
    return re.search(r"until (\S+),", words)[1]


def test_a_relay_that_is_down_gets_it_later_also_after_a_kill_and_nobody_is_told(folder, started):
    world = World(folder, started)
    letter = send(world.figaro, "reader@closed.example", name="patient")
    before = world.at_relay(letter)
    world.figaro.kill()
    world.figaro.start()
    assert until(world.at_relay(letter)) == until(before), "the time does not begin anew"
    wait_until(lambda: "refused" in world.at_relay(letter), 20, "an operator sees why", 0.2)
    world.smarthost()
    world.arrived("patient")
    assert wait_for_end(world.figaro, letter) == ["relayed"]
    assert not world.told()


def test_a_wrong_password_keeps_mail_until_it_is_corrected(folder, started):
    world = World(folder, started)
    world.write_password("wr0ng")
    world.figaro.command("reload")
    smarthost = world.smarthost()
    letter = send(world.figaro, "reader@closed.example", name="locked")
    wait_until(lambda: "535" in world.at_relay(letter), 20, "an operator sees why", 0.2)
    summary = world.figaro.command("queue", "summary")
    assert "relay provider" in summary and "535" in summary, summary
    port = world.figaro.settings["metrics"]["port"]
    wait_until(lambda: 'figaro_relay_works{relay="provider"} 1' in ask(port, "/metrics")[1], 40, "it is counted", 0.5)
    assert 'figaro_relay_resting{relay="provider"} 1' in ask(port, "/metrics")[1]
    log = world.figaro.process.output.read_text()
    assert "the relay does not take our credentials" in log and "wr0ng" not in log
    world.write_password("s3cret")
    world.figaro.command("reload")
    world.arrived("locked")
    assert wait_for_end(world.figaro, letter) == ["relayed"] and not world.told()
    asked = [line for line in smarthost.log().splitlines() if " auth=" in line and "disconnect" in line]
    assert asked and all("starttls=1" in line for line in asked), asked


def test_a_relay_that_cannot_be_verified_never_hears_a_password(folder, started):
    world = World(folder, started, trusted=False)
    smarthost = world.smarthost()
    letter = send(world.figaro, "reader@closed.example", name="wary")
    wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in world.at_relay(letter), 20, "an operator sees why", 0.2)
    assert "SSL_accept error" in smarthost.log() and "auth" not in smarthost.log().lower()
    smarthost.stop()
    # Nor one that offers AUTH in the clear and no TLS.
    naked = started(Receiver(folder / "naked", "--extension", "AUTH PLAIN LOGIN", port=world.port))
    wait_until(lambda: [each for each in naked.record.refresh() if each["kind"] == "quit"], 20, "it is asked again")
    assert not [each for each in naked.record.refresh() if each["kind"] in ("unknown", "message")]
    wait_until(lambda: "STARTTLS" in world.at_relay(letter), 20, "an operator sees why", 0.2)
    assert not world.told()


@pytest.mark.parametrize("phase", ["banner", "dot"])
def test_a_relay_that_never_answers_ends_in_one_notice_and_keeps_nobody_else(phase, folder, started):
    world = World(folder, started, within="6s", delivery={"timeouts": {"banner": "60s", "dot": "3s"}},
                  relay={"tls": "none", "username": None, "password_file": None})
    tarpit = started(Receiver(folder / "tarpit", "--silent", phase, port=world.port))
    letter = send(world.figaro, "reader@closed.example", name="stuck")
    ends = until(world.at_relay(letter))
    wait_until(lambda: [each for each in tarpit.record.refresh() if each["kind"] == "silent"], 20, "it is asked")
    assert wait_for_end(world.figaro, send(world.figaro, "reader@friendly.example", name="free")) == ["delivered"]
    world.figaro.kill()
    world.figaro.start()
    # The kill may have taken the last second of its history.
    wait_until(lambda: "expired" in world.figaro.command("trace", letter, check=False), 40, "it ends")
    [end] = events(world.figaro, letter, "ended")
    assert end["how"] == "expired" and end["time"][:19] >= ends[:19], "not before its time"
    report = world.report()
    assert "zen.spamhaus.org" in report.only()["Diagnostic-Code"] and report.original["X-Test-ID"] == "stuck"
    wait_until(lambda: not world.figaro.command("queue", "list", "--json").strip(), 20, "nothing is left", 0.2)
    time.sleep(2)
    assert len(world.told()) == 1 and len(events(world.figaro, letter, "ended")) == 1
