"""Letters at a steady pace, whatever the relay does, and how long each took to arrive: what everyone else notices."""

import math
import socket
import threading
import time


class Probes(threading.Thread):
    """Sends a message every `interval` seconds to `domains` in turn, over one connection.

    A letter's time counts from the moment at which it was to be sent: a relay that makes its customers wait cannot hide
    it by being asked less often (Gil Tene's coordinated omission).
    """

    def __init__(self, port, record, domains, interval, count, source="127.0.0.1", size=1024, name="probe"):
        super().__init__(daemon=True)
        self.port, self.record, self.domains = port, record, domains
        self.interval, self.count, self.source, self.size, self.label = interval, count, source, size, name
        self.planned, self.answered, self.trouble = {}, {}, None

    def run(self):
        try:
            self._send_all()
        except OSError as error:
            self.trouble = error

    def _send_all(self):
        start = time.time()
        with socket.create_connection(("127.0.0.1", self.port), 30, (self.source, 0)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            replies = connection.makefile("rb")
            self._expect(replies, b"220")
            connection.sendall(b"EHLO probe.example\r\n")
            self._expect(replies, b"250")
            for number in range(self.count):
                planned = start + number * self.interval
                time.sleep(max(0, planned - time.time()))
                self._letter(connection, replies, number, planned)

    def _letter(self, connection, replies, number, planned):
        identifier = f"{self.label}-{number}"
        self.planned[identifier] = planned
        domain = self.domains[number % len(self.domains)]
        connection.sendall(b"MAIL FROM:<me@probe.example>\r\nRCPT TO:<you@%s>\r\nDATA\r\n" % domain.encode())
        for code in (b"250", b"250", b"354"):
            self._expect(replies, code)
        head = f"From: me@probe.example\r\nX-Test-ID: {identifier}\r\n\r\n".encode()
        body = b"0123456789 " * (max(0, self.size - len(head)) // 11)
        connection.sendall(head + body + b"\r\n.\r\n")
        self._expect(replies, b"250")
        self.answered[identifier] = time.time()

    @staticmethod
    def _expect(replies, code):
        while True:
            line = replies.readline()
            if not line.startswith(code):
                raise OSError(f"the relay said {line!r} where {code!r} belongs")
            if line[3:4] != b"-":
                return

    def finish(self, seconds):
        """Waits for the letters and returns what each took until it was accepted and until it arrived; `inf` for what
        did not arrive in time."""
        self.join(self.count * self.interval + seconds)
        end = time.time() + seconds
        while True:
            arrived = {message["id"]: message["time"] for message in self.record.messages()}
            if all(each in arrived for each in self.planned) or time.time() > end:
                break
            time.sleep(0.1)
        lost = [math.inf] * (self.count - len(self.planned))
        accepted = [self.answered.get(each, math.inf) - at for each, at in self.planned.items()] + lost
        delivered = [arrived.get(each, math.inf) - at for each, at in self.planned.items()] + lost
        return accepted, delivered


def percentile(values, part):
    """The value that `part` of 100 are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(len(ordered) * part / 100) - 1))]
