"""Strangers: whatever they write, and however they spell it, nothing of it is relayed."""

import itertools

import pytest

from servers.figaro import Figaro
from servers.receiver import Receiver
from test_accounts import World, attempt
from test_protocol import Wire

target, relay, literal = "sink.example", "relay.example", "[127.0.0.1]"

# What nmap's smtp-open-relay tries, and what else old and lax servers have taken for a way round their rules.
senders = ["", f"spam@{target}", f"spam@{relay}", f"spam@{literal}", "spam@localhost", "spam",
           "author@customer.example"]
recipients = [
    f"victim@{target}", f"victim%{target}@{literal}", f"victim%{target}@{relay}", f'"victim@{target}"',
    f'"victim%{target}"', f"victim@{target}@{literal}", f'"victim@{target}"@{literal}', f"victim@{target}@{relay}",
    f'"victim@{target}"@{relay}', f"@{literal}:victim@{target}", f"@{relay}:victim@{target}", f"{target}!victim",
    f"{target}!victim@{literal}", f"{target}!victim@{relay}", f"@{relay},@{target}:victim@{target}",
    f"{relay}!{target}!victim", f"victim%{target}", f"victim%{target}%{relay}@{relay}", f"victim@{target}%{relay}",
    f'"victim"@{target}', f'"vic\\tim"@{target}', f"victim@{target}.", f"VICTIM@{target.upper()}",
    f"victim+postmaster@{target}", f"postmaster@{target}", f'"postmaster"@{target}', f"<victim@{target}>",
    f"victim@{target}> <postmaster", f"victim@[{target}]",
    f"victim@{target}\0@{relay}", f"victim@{target},postmaster", f"victim@{target} postmaster", "victim@127.0.0.1",
    f"victim@{literal}", "victim@[IPv6:::1]", f"sip:victim@{target}", f"mailto:victim@{target}",
    f"victim@{relay}", f"victim(@{relay})@{target}", f"victim@({relay}){target}",
]


@pytest.fixture
def world(folder, started):
    return World(folder, started, postmaster="postmaster@house.example")


def begun(world, hello=b"EHLO stranger.example\r\n"):
    wire = Wire(world.figaro.port)
    wire.reply()
    wire.say(hello)
    return wire


def pushed(wire, sender, recipient):
    """Whether the server took this envelope; the session is left as it was, or None when it ended."""
    reply = wire.say(f"MAIL FROM:<{sender}>\r\n".encode())
    if reply.startswith("2"):
        reply = wire.say(f"RCPT TO:<{recipient}>\r\n".encode("latin-1"))
        if reply.startswith("2"):
            return True
        if not reply.startswith("421"):
            refused = wire.say(b"DATA\r\n")
            assert not refused.startswith("3"), "content without a recipient"
            reply = refused if refused.startswith("421") else wire.say(b"RSET\r\n")
    return None if reply.startswith("421") or reply == "" else False


def test_no_spelling_of_an_address_opens_the_relay(world):
    world.command("customer", "add", "acme", "--sender", "customer.example")
    world.login()
    tried = 0
    wire = begun(world)
    for sender, recipient in itertools.product(senders, recipients):
        took = pushed(wire, sender, recipient)
        if took is None:
            wire.close()
            wire = begun(world)
            took = pushed(wire, sender, recipient)
        assert took is False, (sender, recipient)
        tried += 1
    print(f"{tried} envelopes of a stranger, none taken")
    assert world.command("queue", "list", "--json") == ""
    assert not world.receiver.record.messages()


def test_what_a_stranger_says_before_opens_it_neither(world):
    world.command("customer", "add", "acme", "--sender", "customer.example")
    world.login()
    for words in ([b"HELO customer.example\r\n"], [f"EHLO {relay}\r\n".encode()], [b"EHLO [127.0.0.1]\r\n"],
                  [b"EHLO x\r\n", b"AUTH PLAIN AGFwcDEAYXBwMQ==\r\n"], [b"EHLO x\r\n", b"AUTH LOGIN\r\n", b"*\r\n"],
                  [b"EHLO x\r\n", b"XCLIENT ADDR=192.0.2.1 LOGIN=app1\r\n"],
                  [b"EHLO x\r\n", b"XFORWARD ADDR=192.0.2.1\r\n"]):
        wire = begun(world, words[0])
        for word in words[1:]:
            wire.say(word)
        for sender in ("author@customer.example", ""):
            assert pushed(wire, sender, f"victim@{target}") is False, words
        wire.close()
    secured = world.client()
    assert attempt(secured, "app1", "wrong") == 535
    secured.mail("author@customer.example", ["AUTH=app1@customer.example"])
    assert secured.rcpt(f"victim@{target}")[0] == 550, "AUTH= of MAIL is nothing to go by"
    secured.rset()
    secured.mail("author@customer.example")
    assert secured.rcpt("postmaster")[0] == 250, "our own postmaster hears everybody"
    assert secured.rcpt(f"victim@{target}")[0] == 550


def test_a_proxy_header_of_a_stranger_is_no_address(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = Figaro(folder / "figaro", receiver.port)
    figaro.settings["customers"] = {"acme": {"networks": ["192.0.2.0/24"]}}
    figaro.write_configuration()
    started(figaro.start())
    wire = Wire(figaro.port)
    wire.reply()
    assert wire.say(b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n").startswith("5")
    wire.say(b"EHLO x\r\n")
    assert pushed(wire, "", f"victim@{target}") is False
