"""Thousands of connections at once, and hundreds of large messages: memory stays bounded and mail flows."""

import signal
import smtplib
import time

from load.crowd import Crowd, Peak, allow_files, content
from servers.figaro import Figaro
from servers.process import resident_bytes, wait_until
from servers.receiver import Receiver
from servers.sink import Sink

idle = 10_000


def test_ten_thousand_connections_cost_30_KB_each_and_end_with_421(folder, started):
    """From 50 addresses, as many as the default limit of 200 a client allows."""
    allow_files(idle + 1_000)
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={"limits": {"connections": idle + 100}}))
    figaro.start()
    send(figaro.port, "before1")
    wait_until(lambda: "before1" in receiver.record.by_id(), 20, "the first arrives")
    before = resident_bytes(figaro.pid)
    crowd = Crowd(figaro.port, idle, clients=50)
    try:
        # Everyone has said and heard something, so that what a session allocates on use is there.
        said = crowd.say([b"EHLO customer.example\r\n"], "250")
        each = (resident_bytes(figaro.pid) - before) / idle
        print(f"{each / 1024:.1f} KB a connection; EHLO on all of them took {said:.2f} s")
        assert each <= 30 * 1024
        start = time.monotonic()
        send(figaro.port, "among1")
        wait_until(lambda: "among1" in receiver.record.by_id(), 10, "mail flows on a further one")
        print(f"a message on one more took {time.monotonic() - start:.2f} s to its receiver")
        start = time.monotonic()
        figaro.process.signal(signal.SIGTERM)
        crowd.settle(lambda member: member.closed, 15, "end")
        print(f"421 and the end of all took {time.monotonic() - start:.2f} s")
        assert all(member.last_reply().startswith("421") for member in crowd.members)
        assert figaro.process.child.wait(20) == 0
    finally:
        crowd.close()


def test_two_hundred_sessions_that_send_large_messages_at_once_stay_small(folder, started):
    """200 times 4 MB are 800 MB; `ops/bench/memory` does it with 50 MB each."""
    sessions, size = 200, 4 << 20
    (folder / "sink").mkdir()
    sink = started(Sink(folder / "sink"))
    figaro = started(Figaro(folder / "figaro", sink.port, configuration={"log": {"level": "warning"}}))
    figaro.start()
    before = resident_bytes(figaro.pid)
    crowd = Crowd(figaro.port, sessions, clients=1)
    try:
        with Peak(figaro.pid) as peak:
            crowd.say([b"EHLO customer.example\r\n"], "250")
            crowd.say([b"MAIL FROM:<author@customer.example>\r\n"], "250")
            crowd.say([b"RCPT TO:<reader@sink.example>\r\n"], "250")
            crowd.say([b"DATA\r\n"], "354")
            took = crowd.say(content(size), "250", 120)
            sink.wait_for(sessions, 120)
        grown = peak.bytes - before
        print(f"{sessions * size / took / 1e6:.0f} MB/s taken; grew by {grown / 1e6:.0f} MB")
        assert grown <= sessions * (1 << 20)
    finally:
        crowd.close()


def send(port, identifier):
    with smtplib.SMTP("127.0.0.1", port, "customer.example", timeout=20) as client:
        client.sendmail("author@customer.example", ["reader@sink.example"], f"X-Test-ID: {identifier}\r\n\r\nHi\r\n")
