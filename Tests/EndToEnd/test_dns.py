"""What the DNS says decides where mail goes, and where it must never go."""

import random
import smtplib
import time

from load.ledger import message
from servers.figaro import Figaro, range_of_254
from servers.process import wait_until
from servers.receiver import Receiver
from servers.unbound import Unbound


records = [
    "plain A 127.88.21.1",                                    # no MX: its own address is the mail host
    "null MX 0 .",
    "cnamed MX 10 alias.zone.example.", "alias CNAME real.zone.example.", "real A 127.88.21.1",
    "inside MX 10 loop.zone.example.", "loop A 127.99.21.1",  # on this machine, and not on the list of allowed networks
    "itself MX 10 self.zone.example.", "self A 127.0.0.1",
    "gone MX 10 nowhere.zone.example.",
]


def test_answers_of_the_dns(folder, started):
    zone = started(Unbound(folder / "unbound", "zone.example", records))
    receiver = started(Receiver(folder / "receiver", port=25, address="127.88.21.1"))
    forbidden = started(Receiver(folder / "forbidden", port=25, address="127.99.21.1"))
    figaro = started(Figaro(
        folder / "figaro", ipmap={
            "ranges": {"loop": range_of_254()}, "pools": {"main": {"members": ["loop"]}},
            "routes": {"default": {"steps": ["pool main/4"]}}},
        configuration={"dns": {"servers": [f"127.0.0.1:{zone.port}"], "timeout": "3s"},
                       "delivery": {"allow": ["127.88.21.0/24:25"], "schedule": ["1s"]}}))
    figaro.start()
    identifiers = {}
    names = ["plain", "null", "cnamed", "inside", "gone", "missing", "deep.broken"]
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=30) as client:
        for name in names:
            client.ehlo_or_helo_if_needed()
            client.mail("author@customer.example")
            client.rcpt(f"reader@{name}.zone.example")
            code, text = client.data(message(f"dns-{name}", 800, random.Random(1)))
            assert code == 250, (code, text)
            identifiers[name] = text.decode().split()[-1]

    wait_until(lambda: {"dns-plain", "dns-cnamed"} <= set(receiver.record.by_id()), 20, "what has a host arrives")

    def told(name):
        return figaro.command("trace", identifiers[name]).lower()

    wait_until(lambda: all("failed" in told(name) for name in ("null", "missing")), 20, "what has no host fails")
    assert "null" in told("null")
    time.sleep(2)
    assert not forbidden.record.events, "an address that is not allowed is never connected to"
    waiting = figaro.command("queue", "list")
    assert "deep.broken.zone.example" in waiting, "SERVFAIL is not an end"
    assert "missing.zone.example" not in waiting
    assert figaro.process.alive()
