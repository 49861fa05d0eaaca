"""Pretend providers on loopback. Each decides by itself, from what it sees, and keeps its own log of whom it saw."""

import asyncio
import collections
import threading
import time


class Provider:
    """One receiver that takes everything. Others say in `judge` what they refuse, phase by phase."""

    name = "friendly"
    conduct = "takes everything but unknown users"
    port = 0

    def __init__(self, address):
        self.address = address
        self.domain = f"{self.name}.example"
        self.connections = collections.Counter()
        # By source address: messages taken, and refusals.
        self.taken = collections.Counter()
        self.refused = collections.Counter()
        self.unknown = 0
        self.messages = []
        self.open = 0

    def judge(self, phase, peer, what):
        """A refusal, or None; `what` is the envelope so far."""

    async def listen(self):
        # Content is read whole, so the bound is that of a message here.
        self.server = await asyncio.start_server(self.session, self.address, 0, limit=4 << 20)
        self.port = self.server.sockets[0].getsockname()[1]

    async def session(self, reader, writer):
        peer = writer.get_extra_info("peername")[0]
        self.connections[peer] += 1
        self.open += 1
        try:
            await asyncio.wait_for(self.talk(reader, writer, peer), 120)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def talk(self, reader, writer, peer):
        def refuses(phase, what=None):
            reply = self.judge(phase, peer, what)
            if reply:
                self.refused[peer] += 1
                writer.write(reply.encode() + b"\r\n")
            return reply

        if refuses("banner"):
            return await writer.drain()
        writer.write(f"220 mx.{self.domain} ESMTP\r\n".encode())
        sender, recipients = None, []
        while True:
            line = (await reader.readuntil(b"\r\n")).decode("utf-8", "replace").rstrip("\r\n")
            verb = line.upper()
            if verb.startswith(("EHLO", "HELO")):
                writer.write(f"250-mx.{self.domain}\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
                             "250 ENHANCEDSTATUSCODES\r\n".encode())
            elif verb.startswith("MAIL"):
                sender, recipients = line, []
                if not refuses("mail", (sender,)):
                    writer.write(b"250 2.1.0 Ok\r\n")
            elif verb.startswith("RCPT"):
                if "<nobody" in line:
                    self.unknown += 1
                    writer.write(b"550 5.1.1 <nobody>: Recipient address rejected: User unknown\r\n")
                elif not refuses("rcpt", (sender, line)):
                    recipients.append(line)
                    writer.write(b"250 2.1.5 Ok\r\n")
            elif verb.startswith("DATA") and not recipients:
                writer.write(b"554 5.5.1 No valid recipients\r\n")
            elif verb.startswith("DATA"):
                writer.write(b"354 Go ahead\r\n")
                content = await reader.readuntil(b"\r\n.\r\n")
                if not refuses("dot", (sender, recipients)):
                    self.taken[peer] += 1
                    self.messages.append((peer, content))
                    writer.write(b"250 2.0.0 Ok: queued\r\n")
            elif verb.startswith("QUIT"):
                writer.write(b"221 2.0.0 Bye\r\n")
                return await writer.drain()
            else:
                writer.write(b"250 2.0.0 Ok\r\n")
            await writer.drain()


class Blocker(Provider):
    """Has a part of the network on its list, each address with the words of another real blocklist user."""

    name = "bigmail"
    conduct = "blocks 96 of the 254 addresses, in real-world words"

    def judge(self, phase, peer, what):
        last = int(peer.rpartition(".")[2])
        if phase == "banner" and 32 <= last < 64:
            return f"554 5.7.1 Service unavailable; Client host [{peer}] blocked using zen.spamhaus.org"
        if phase == "mail" and 128 <= last < 160:
            return (f"550 5.7.1 Connection refused. {peer} has poor reputation on Cisco SenderBase")
        if phase == "rcpt" and 192 <= last < 224:
            return f"550 5.7.606 Access denied, banned sending IP [{peer}]"


class Greylister(Provider):
    """As postgrey does it: the first try of a sender, recipient and /24 waits some seconds."""

    name = "greymail"
    conduct = "greylists each first contact for 4 s"

    def __init__(self, address):
        super().__init__(address)
        self.seen = {}

    def judge(self, phase, peer, what):
        if phase != "rcpt":
            return None
        first = self.seen.setdefault((peer.rpartition(".")[0], what), time.monotonic())
        if time.monotonic() - first < 4:
            return "450 4.2.0 Greylisted, please try again in 5 seconds"


class Limiter(Provider):
    """Counts connections, and messages of the last second, from everybody together."""

    name = "slowmail"
    conduct = "takes 4 connections at once and 20 messages a second"

    def __init__(self, address):
        super().__init__(address)
        self.recent = collections.deque()

    def judge(self, phase, peer, what):
        if phase == "banner" and self.open > 4:
            return "421 4.7.0 Too many concurrent SMTP connections; please try again in 2 seconds."
        if phase == "mail":
            now = time.monotonic()
            while self.recent and now - self.recent[0] > 1:
                self.recent.popleft()
            if len(self.recent) >= 20:
                return "451 4.7.1 Rate limit exceeded, please try again in 3 seconds"
            self.recent.append(now)


class Down(Provider):
    """Nobody listens where its mail should go."""

    name = "deadmail"
    conduct = "is down"

    async def listen(self):
        await super().listen()
        self.server.close()
        await self.server.wait_closed()


class World:
    """All of them, on an event loop of their own."""

    def __init__(self):
        self.providers = [kind(f"127.66.0.{number}") for number, kind in
                          enumerate((Provider, Blocker, Greylister, Limiter, Down), 1)]
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        for provider in self.providers:
            asyncio.run_coroutine_threadsafe(provider.listen(), self.loop).result(10)
