"""A receiver that does not like half of our addresses gets its mail from the other half, and the trace says so."""

import random
import smtplib

import pytest

from load.ledger import Load, message
from servers.figaro import Figaro
from servers.process import wait_until
from servers.receiver import Receiver


@pytest.mark.parametrize("phase", ["banner", "ehlo", "mail", "rcpt", "data", "dot"])
def test_mail_refused_by_half_of_the_addresses_comes_from_the_other_half(phase, folder, started):
    receiver = started(Receiver(folder / "receiver", "--refuse-half", phase))
    figaro = started(Figaro(folder / "figaro", receiver.port, messages_per_session=1, budget=20,
                            configuration={"delivery": {"schedule": ["1s"]}, "containment": {"range_breaker": 254}}))
    figaro.start()
    count = 60
    load = started(Load(folder, figaro.port, "r", messages=count, sessions=4))
    taken = load.wait(60)
    assert len(taken) == count
    wait_until(lambda: len(receiver.record.by_id()) == count, 60, f"{count} messages arrive")
    arrived = receiver.record.by_id()
    assert all(len(messages) == 1 for messages in arrived.values())
    assert all(int(messages[0]["peer"].rpartition(".")[2]) % 2 == 0 for messages in arrived.values())
    refused = [event for event in receiver.record.events if event["kind"] == "refused"]
    assert refused, "some were refused first"


def test_the_trace_tells_the_story_of_a_refusal(folder, started):
    receiver = started(Receiver(folder / "receiver", "--refuse-half", "rcpt"))
    figaro = started(Figaro(folder / "figaro", receiver.port, messages_per_session=1, budget=20,
                            configuration={"delivery": {"schedule": ["1s"]}, "containment": {"range_breaker": 254}}))
    figaro.start()
    identifiers = []
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=30) as client:
        for number in range(12):
            client.ehlo_or_helo_if_needed()
            client.mail("author@customer.example")
            client.rcpt("reader@sink.example")
            code, text = client.data(message(f"story{number}", 900, random.Random(number)))
            assert code == 250
            identifiers.append(text.decode().split()[-1])
    wait_until(lambda: len(receiver.record.by_id()) == 12, 30, "all arrive")
    wait_until(lambda: all("delivered" in figaro.command("trace", each) for each in identifiers), 15,
               "the history has their ends")
    told = [figaro.command("trace", each) for each in identifiers]
    story = next((text for text in told if "blocked using" in text), None)
    assert story, "one of twelve was refused first, but for one chance in 4,096"
    print(story)
    for word in ("550", "127.77.0.", "rcpt", "another source", "delivered", "sink.example"):
        assert word in story.lower(), f"{word} is in the trace"
    events = figaro.trace(identifiers[told.index(story)])
    assert events[0]["event"] == "accepted" and events[-1]["decision"] == "delivered"
    for event in events[1:-1]:
        assert (event["phase"], event["cause"], event["decision"]) == ("rcpt", "source", "another source"), event
        assert int(event["source_address"].rpartition(".")[2]) % 2 == 1 and event["why"], event
