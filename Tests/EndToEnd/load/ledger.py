#!/usr/bin/python3
"""Many SMTP sessions that write down each 250 they get: what is in the ledger must never be missing at the receiver.

A message is sent once only, whatever becomes of it; after a lost connection the session connects again, so that the
relay may be killed and started under it.
"""

import argparse
import asyncio
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from servers.process import Process


def message(identifier, size, draw):
    """A message of about `size` octets, every line of which names it."""
    head = (f"From: <author@customer.example>\r\nTo: <reader@sink.example>\r\nSubject: {identifier}\r\n"
            f"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{identifier}@customer.example>\r\n"
            f"X-Test-ID: {identifier}\r\n\r\n")
    line = f"{identifier} {draw.getrandbits(200):050x}\r\n"
    return (head + line * max(1, (size - len(head)) // len(line))).encode()


class Ledger:
    def __init__(self, options):
        self.options = options
        self.file = open(options.ledger, "a", buffering=1)
        self.draw = random.Random(options.seed)
        self.left = options.messages
        self.number = 0
        self.end = time.monotonic() + options.seconds

    def size(self):
        """Mostly small ones; one in twenty goes past the 64 KB above which content has a file of its own."""
        return self.draw.randrange(70_000, 200_000) if self.draw.random() < 0.05 else self.draw.randrange(500, 9_000)

    def next(self):
        if self.left <= 0 or time.monotonic() > self.end:
            return None
        self.left -= 1
        self.number += 1
        return f"{self.options.prefix}{self.number:07d}"

    def note(self, identifier, code, text):
        self.file.write(f"{time.time():.6f} {identifier} {code} {text}\n")

    async def session(self):
        while self.left > 0 and time.monotonic() < self.end:
            try:
                await self.dialogue()
            except (OSError, EOFError, asyncio.TimeoutError, ValueError):
                await asyncio.sleep(0.05)

    async def dialogue(self):
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection("127.0.0.1", self.options.port, limit=2**20), 10)
        try:
            await self.expect(reader, "2")
            await self.ask(reader, writer, "EHLO customer.example", "2")
            while identifier := self.next():
                await self.send(reader, writer, identifier)
            await self.ask(reader, writer, "QUIT", "2")
        finally:
            writer.close()

    async def send(self, reader, writer, identifier):
        writer.write(b"MAIL FROM:<author@customer.example>\r\nRCPT TO:<reader@sink.example>\r\nDATA\r\n")
        for wanted in ("2", "2", "3"):
            await self.expect(reader, wanted)
        writer.write(message(identifier, self.size(), self.draw) + b".\r\n")
        await writer.drain()
        code, text = await self.reply(reader)
        self.note(identifier, code, text)
        if self.options.pause:
            await asyncio.sleep(self.options.pause)

    async def ask(self, reader, writer, line, wanted):
        writer.write(line.encode() + b"\r\n")
        return await self.expect(reader, wanted)

    async def expect(self, reader, wanted):
        code, text = await self.reply(reader)
        if not code.startswith(wanted):
            self.note("-", code, text)
            raise ValueError(text)

    async def reply(self, reader):
        while True:
            line = await asyncio.wait_for(reader.readline(), 60)
            if not line.endswith(b"\r\n"):
                raise EOFError
            if line[3:4] != b"-":
                return line[:3].decode("latin-1"), line[4:].decode("latin-1").strip()


async def run(options):
    ledger = Ledger(options)
    await asyncio.gather(*(ledger.session() for _ in range(options.sessions)))


def read(path):
    """Time and identifier of each message that got 250, and the other replies."""
    taken, others = {}, []
    for line in pathlib.Path(path).read_text().splitlines():
        when, identifier, code, text = (line.split(" ", 3) + [""])[:4]
        if code == "250":
            taken[identifier] = float(when), text
        else:
            others.append((float(when), identifier, code, text))
    return taken, others


class Load:
    """The client as a process of its own."""

    def __init__(self, folder, port, prefix="m", **options):
        self.path = pathlib.Path(folder) / f"ledger-{prefix}"
        self.path.touch()
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        self.process = Process(
            f"load-{prefix}", ["/usr/bin/python3", __file__, "--port", port, "--ledger", self.path, "--prefix", prefix,
                               *words], folder)

    def taken(self):
        return read(self.path)[0]

    def others(self):
        return read(self.path)[1]

    def wait(self, seconds):
        self.process.child.wait(seconds)
        return self.taken()

    def stop(self):
        self.process.stop(1)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--ledger", required=True, metavar="FILE")
    arguments.add_argument("--prefix", default="m")
    arguments.add_argument("--sessions", type=int, default=20)
    arguments.add_argument("--messages", type=int, default=1_000_000)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--pause", type=float, default=0, help="seconds between two messages of a session")
    arguments.add_argument("--seed", type=int, default=1)
    asyncio.run(run(arguments.parse_args()))
