"""Thousands of SMTP sessions held by one thread: idle ones, and ones that send something large all at once."""

import resource
import selectors
import socket
import threading
import time

from servers.process import Failed, resident_bytes


def allow_files(count):
    """Raises our own limit of open files, beyond the hard one where we may (as root)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))


class Member:
    """One session: what is still to be sent, and what was received."""

    def __init__(self, connection):
        self.connection = connection
        self.outgoing = memoryview(b"")
        self.pieces = iter(())
        self.received = b""
        self.closed = False

    def read(self):
        try:
            data = self.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.closed = not data
        self.received += data

    def write(self):
        """Returns whether there is more to send."""
        while True:
            if not self.outgoing:
                self.outgoing = memoryview(next(self.pieces, b""))
                if not self.outgoing:
                    return False
            try:
                self.outgoing = self.outgoing[self.connection.send(self.outgoing):]
            except BlockingIOError:
                return True
            except OSError:
                self.closed = True
                return False

    def last_reply(self):
        """The last whole reply, as text; empty when there is none."""
        if not self.received.endswith(b"\r\n"):
            return ""
        line = self.received[:-2].rpartition(b"\r\n")[2]
        return line.decode("latin-1") if line[3:4] == b" " else ""


class Crowd:
    def __init__(self, port, count, clients, host="127.0.0.1", seconds=60):
        """Connects `count` sessions from `clients` addresses of 127.1.0.0/16 in turn, and waits for all greetings."""
        allow_files(count + 200)
        self.selector = selectors.EpollSelector()
        self.members = []
        for number in range(count):
            self.members.append(self.join(port, host, number % clients))
            if number % 500 == 499:
                self.settle(lambda member: member.last_reply().startswith("220"), seconds, "greeting")
        self.settle(lambda member: member.last_reply().startswith("220"), seconds, "greeting")

    def join(self, port, host, client):
        connection = socket.socket()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # IP_BIND_ADDRESS_NO_PORT: the port is chosen for the pair of addresses, so that none runs out.
        connection.setsockopt(socket.IPPROTO_IP, 24, 1)
        connection.bind((f"127.1.{client // 250}.{client % 250 + 1}", 0))
        connection.connect((host, port))
        connection.setblocking(False)
        member = Member(connection)
        self.selector.register(connection, selectors.EVENT_READ, member)
        return member

    def settle(self, done, seconds, what):
        """Until `done` is true of every member; returns how long it took."""
        start = time.monotonic()
        waiting = {member for member in self.members if not done(member)}
        while waiting:
            if time.monotonic() - start > seconds:
                raise Failed(f"not within {seconds} s: {what} of {len(waiting)} sessions; one of them has "
                             f"{next(iter(waiting)).received[-200:]!r}")
            for key, events in self.selector.select(0.5):
                member = key.data
                if events & selectors.EVENT_WRITE and not member.write():
                    self.selector.modify(member.connection, selectors.EVENT_READ, member)
                if events & selectors.EVENT_READ:
                    member.read()
                if member.closed:
                    self.selector.unregister(member.connection)
                    member.connection.close()
                if done(member):
                    waiting.discard(member)
        return time.monotonic() - start

    def say(self, pieces, code, seconds=60):
        """Everyone sends these pieces, round after round, until each has a reply that begins with `code`."""
        for member in self.members:
            member.received = b""
            member.pieces = iter(pieces)
            self.selector.modify(member.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, member)
        return self.settle(lambda member: member.last_reply().startswith(code), seconds, f"{code} after {pieces[0]!r}")

    def close(self):
        for member in self.members:
            if not member.closed:
                self.selector.unregister(member.connection)
                member.connection.close()
        self.selector.close()
        self.members = []


def content(size):
    """Pieces of a message of `size` octets that share their memory, with the final dot."""
    head = (b"From: <author@customer.example>\r\nTo: <reader@sink.example>\r\nSubject: large\r\n"
            b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <large@customer.example>\r\n\r\n")
    block = (b"x" * 62 + b"\r\n") * 1024
    return [head, *[block] * max(1, (size - len(head)) // len(block)), b".\r\n"]


class Peak(threading.Thread):
    """Looks 20 times a second how much memory a process has; `bytes` is the most that was seen."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.bytes, self.over = pid, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            self.bytes = max(self.bytes, resident_bytes(self.pid))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(5)
