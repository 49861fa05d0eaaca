"""A real Postfix and a real Exim hand over their mail: it arrives once, octet for octet, from random addresses."""

import itertools

import pytest

from load.checks import check_exactly_once, check_spread
from load.corpus import corpus, submit
from servers.exim import Exim
from servers.figaro import Figaro, range_of_254
from servers.postfix import Postfix
from servers.process import free_port, wait_until
from servers.proxy import Proxy
from servers.receiver import Receiver
from servers.unbound import Unbound

count = 2_000


def deliveries(messages):
    """Addresses to deliver to: customers may split a message with several recipients."""
    return sum(len(recipients) for _, recipients, _ in messages)


def wait_for_all(messages, receivers, seconds):
    """Until as many recipients were served as the messages have, by all receivers together."""
    def served():
        return sum(len(each["recipients"]) for receiver in receivers for each in receiver.record.messages())
    wait_until(lambda: served() >= deliveries(messages), seconds, f"{deliveries(messages)} recipients served", 0.2)


def customer(kind, folder, proxy):
    if kind == "exim":
        return Exim(folder / "exim", free_port(), proxy.port)
    return Postfix(folder / "postfix", free_port(), f"[127.0.0.1]:{proxy.port}",
                   {"smtp_destination_concurrency_limit": "20", "default_process_limit": "50"})


@pytest.mark.parametrize("kind", ["postfix", "exim"])
def test_all_mail_of_a_customer_arrives_once_and_identical(kind, folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port, messages_per_session=1))
    figaro.start()
    proxy = started(Proxy(folder / "proxy", figaro.port))
    server = started(customer(kind, folder, proxy))
    messages = submit(server.port, corpus(count, 21, kind[0]))
    server.wait_empty(200)
    wait_for_all(messages, [receiver], 60)
    check_exactly_once(messages, proxy.record, receiver.record)
    check_spread(receiver.record)


class Several:
    """The records of several receivers as one."""

    def __init__(self, records):
        self.records = records

    def by_id(self):
        found = {}
        for record in self.records:
            for message in record.messages():
                found.setdefault(message["id"], []).append({**message, "record": record})
        return found

    def content(self, message):
        return message["record"].content(message)

    def messages(self):
        return list(itertools.chain(*(record.messages() for record in self.records)))


def test_over_dns_with_several_hosts_of_which_one_is_dead(folder, started):
    """Hosts of the same preference share the mail, the last resort gets none, and the dead one costs none."""
    hosts = {name: f"127.88.20.{number}" for number, name in enumerate(("mx1", "mx2", "dead", "last"), 1)}
    zone = started(Unbound(folder / "unbound", "many.example", [
        "@ MX 10 mx1.many.example.", "@ MX 10 mx2.many.example.", "@ MX 10 dead.many.example.",
        "@ MX 50 last.many.example.", *(f"{name} A {address}" for name, address in hosts.items())]))
    receivers = {name: started(Receiver(folder / name, port=25, address=hosts[name]))
                 for name in ("mx1", "mx2", "last")}
    figaro = started(Figaro(
        folder / "figaro", ipmap={
            "ranges": {"loop": range_of_254()},
            "pools": {"main": {"members": ["loop"], "select": "random", "messages_per_session": 1}},
            "routes": {"default": {"steps": ["pool main/4"]}}},
        configuration={"dns": {"servers": [f"127.0.0.1:{zone.port}"]},
                       "delivery": {"allow": ["127.88.20.0/24:25"], "schedule": ["2s"]}}))
    figaro.start()
    proxy = started(Proxy(folder / "proxy", figaro.port))
    server = started(customer("postfix", folder, proxy))
    messages = submit(server.port, corpus(count, 22, "n", domain="many.example"))
    server.wait_empty(200)
    wait_for_all(messages, receivers.values(), 60)
    both = Several([receiver.record for receiver in receivers.values()])
    check_exactly_once(messages, proxy.record, both)
    check_spread(both)
    share = len(receivers["mx1"].record.messages()) / len(both.messages())
    assert 0.3 < share < 0.7, "hosts of one preference are drawn at random (RFC 5321 section 5.1)"
    assert not receivers["last"].record.messages(), "a host of lower preference is for when the others fail"
