#!/usr/bin/python3
"""A receiver that keeps every octet: who connected, what was said, and each message as it was before dot-stuffing.

Its conduct is chosen by options: it can refuse half of the addresses in any phase, greylist, answer a phase with a
fixed reply, drop the connection after the final dot, or be slow. Everything it sees goes into a record (see record.py).
"""

import argparse
import asyncio
import math
import pathlib
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from servers.process import Process, free_port
from servers.record import Record, Recorder, unstuffed

phases = ("banner", "ehlo", "mail", "rcpt", "data", "dot")


class Conduct:
    """What to answer, from the options of the command line."""

    def __init__(self, options):
        self.options = options
        self.fixed = dict(each.split("=", 1) for each in options.reply)
        self.named = {name: words.encode().decode("unicode_escape")
                      for name, words in (each.split("=", 1) for each in options.recipient)}
        self.seen = {}
        self.drops = options.drop_after_dot

    def refusal(self, phase, peer, key=None):
        """A reply other than the ordinary one, or None."""
        if phase == self.options.refuse_half and int(peer.rpartition(".")[2]) % 2 == 1:
            return f"550 5.7.1 Service unavailable; client [{peer}] blocked using zen.blocklist.example"
        if phase in self.fixed:
            return self.fixed[phase]
        if phase == "rcpt" and key:
            name = key[1].partition("<")[2].partition("@")[0]
            if name in self.named:
                return self.named[name]
            if name == self.options.flood:
                return "\r\n".join([f"550-{'x' * 60}"] * 160_000 + ["550 at last"])
        if phase == "rcpt" and self.options.greylist is not None:
            first = self.seen.setdefault((peer, key), time.monotonic())
            if time.monotonic() - first < self.options.greylist:
                return f"450 4.7.1 Greylisted, please try again in {math.ceil(self.options.greylist)} seconds"
        return None


class Session(asyncio.Protocol):
    """One connection; a protocol and not a stream, because it must not slow the relay down."""

    def __init__(self, recorder, conduct, context):
        self.recorder, self.conduct, self.context = recorder, conduct, context
        self.buffer = bytearray()
        self.searched = 0
        self.in_data = False
        self.secure = False
        self.helo = None
        self.begin()

    def begin(self):
        self.sender, self.recipients = None, []

    def connection_made(self, transport):
        self.transport = transport
        if self.secure:
            return
        self.peer, self.peer_port = transport.get_extra_info("peername")[:2]
        self.recorder.event("connected", peer=self.peer, port=self.peer_port)
        self.say("220 receiver.example ESMTP", "banner")

    def say(self, ordinary, phase=None, key=None):
        """Returns whether the ordinary reply was given."""
        refusal = self.conduct.refusal(phase, self.peer, key) if phase else None
        if refusal:
            self.recorder.event("refused", peer=self.peer, helo=self.helo, phase=phase, reply=refusal[:500])
        if phase and phase == self.conduct.options.silent:
            self.recorder.event("silent", peer=self.peer, phase=phase)
            return True
        text = ((refusal or ordinary) + "\r\n").encode("latin-1", "replace")
        if self.conduct.options.slow and phase:
            asyncio.get_running_loop().call_later(self.conduct.options.slow, self.write, text)
        else:
            self.write(text)
        if refusal and (refusal.startswith("421") or phase == "banner"):
            self.transport.close()
        return refusal is None

    def write(self, text):
        if not self.transport.is_closing():
            self.transport.write(text)

    def data_received(self, data):
        self.buffer += data
        while not self.transport.is_closing():
            if not (self.content() if self.in_data else self.command()):
                return

    def command(self):
        line, found, _ = self.buffer.partition(b"\r\n")
        if not found:
            return False
        del self.buffer[:len(line) + 2]
        verb, _, rest = bytes(line).decode("utf-8", "replace").partition(" ")
        act = getattr(self, f"on_{verb.lower()}", None) if verb.isalpha() else None
        if act is None:
            self.recorder.event("unknown", peer=self.peer, line=line[:200].decode("latin-1"))
            self.say("500 5.5.1 Unknown command")
        else:
            act(rest)
        return True

    def on_ehlo(self, name):
        self.helo = name
        extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", f"SIZE {self.conduct.options.size}",
                      *self.conduct.options.extension]
        if self.context and not self.secure:
            extensions.append("STARTTLS")
        lines = ["receiver.example"] + [each for each in extensions if each not in self.conduct.options.without]
        self.say("\r\n".join(f"250{'-' if each < len(lines) else ' '}{line}" for each, line in enumerate(lines, 1)),
                 "ehlo")

    def on_helo(self, name):
        self.helo = name
        self.say("250 receiver.example", "ehlo")

    def on_mail(self, rest):
        if self.say("250 2.1.0 Ok", "mail"):
            self.sender = rest

    def on_rcpt(self, rest):
        if self.sender is None:
            self.say("503 5.5.1 MAIL first")
        elif self.say("250 2.1.5 Ok", "rcpt", (self.sender, rest)):
            self.recipients.append(rest)

    def on_data(self, _):
        if not self.recipients:
            self.say("554 5.5.1 No valid recipients")
        elif self.say("354 Go ahead", "data"):
            self.in_data = True
            self.searched = 0

    def on_rset(self, _):
        self.begin()
        self.say("250 2.0.0 Ok")

    def on_noop(self, _):
        self.say("250 2.0.0 Ok")

    def on_quit(self, _):
        self.recorder.event("quit", peer=self.peer)
        self.say("221 2.0.0 Bye")
        self.transport.close()

    def on_starttls(self, _):
        if not self.context or self.secure:
            self.say("503 5.5.1 Not now")
            return
        self.say("220 2.0.0 Go ahead")
        self.secure = True
        asyncio.ensure_future(self.encrypt())

    async def encrypt(self):
        loop = asyncio.get_running_loop()
        try:
            self.transport = await loop.start_tls(self.transport, self, self.context, server_side=True)
        except (OSError, ssl.SSLError) as error:
            self.recorder.event("tls failed", peer=self.peer, error=str(error))

    def content(self):
        """Takes a message when its end is there."""
        if self.buffer.startswith(b".\r\n"):
            end, length = 0, 3
        else:
            at = self.buffer.find(b"\r\n.\r\n", max(0, self.searched - 4))
            self.searched = len(self.buffer)
            if at < 0:
                return False
            end, length = at + 2, at + 5
        content = unstuffed(bytes(self.buffer[:end]))
        del self.buffer[:length]
        self.in_data = False
        self.finish(content)
        return True

    def finish(self, content):
        facts = {"peer": self.peer, "port": self.peer_port, "helo": self.helo, "tls": self.secure,
                 "sender": self.sender, "recipients": self.recipients}
        self.begin()
        if self.conduct.drops > 0:
            self.conduct.drops -= 1
            self.recorder.message(content, dropped=True, **facts)
            self.transport.abort()
        elif self.conduct.refusal("dot", self.peer):
            self.say("", "dot")
        else:
            self.recorder.message(content, dropped=False, **facts)
            self.say("250 2.0.0 Ok: taken", "dot")

    def connection_lost(self, error):
        self.recorder.event("lost", peer=self.peer, inside=self.in_data)


async def serve(options):
    recorder = Recorder(options.record, not options.no_content)
    conduct, context = Conduct(options), None
    if options.certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
    loop = asyncio.get_running_loop()
    servers = []
    for address in options.address:
        servers.append(await loop.create_server(
            lambda: Session(recorder, conduct, context), address, options.port, backlog=4000))
    await asyncio.gather(*(server.serve_forever() for server in servers))


def parser():
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--record", required=True, metavar="FOLDER")
    made.add_argument("--port", type=int, required=True)
    made.add_argument("--address", action="append", help="may be repeated; default: 127.0.0.1")
    made.add_argument("--refuse-half", choices=phases, help="550 in this phase to addresses that end in an odd number")
    made.add_argument("--recipient", action="append", default=[], metavar="NAME=REPLY",
                      help="what RCPT for this local part is answered with, escapes as in Python: nobody=550 no\\0such")
    made.add_argument("--flood", metavar="NAME", help="RCPT for this local part is answered with 10 MB")
    made.add_argument("--size", type=int, default=60_000_000, help="what SIZE announces")
    made.add_argument("--extension", action="append", default=[], help="announced too")
    made.add_argument("--greylist", type=float, metavar="SECONDS")
    made.add_argument("--reply", action="append", default=[], metavar="PHASE=REPLY", help="rcpt=421 4.3.2 Busy")
    made.add_argument("--drop-after-dot", type=int, default=0, metavar="MESSAGES")
    made.add_argument("--slow", type=float, default=0, metavar="SECONDS", help="before each reply")
    made.add_argument("--silent", choices=phases, help="never answers in this phase")
    made.add_argument("--without", action="append", default=[], metavar="EXTENSION")
    made.add_argument("--certificate", help="offers STARTTLS with it")
    made.add_argument("--key")
    made.add_argument("--no-content", action="store_true", help="keep hashes only")
    return made


class Receiver:
    """The receiver as a process of its own; options as on the command line, without the first two."""

    def __init__(self, folder, *options, port=None, address="127.0.0.1"):
        self.port = port or free_port(address)
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.record = Record(folder)
        self.process = Process(
            "receiver", ["/usr/bin/python3", __file__, "--record", folder, "--port", self.port, "--address", address,
                         *options], folder)
        self.process.wait_for_port(self.port, host=address)

    def stop(self):
        self.process.stop(5)


if __name__ == "__main__":
    chosen = parser().parse_args()
    chosen.address = chosen.address or ["127.0.0.1"]
    try:
        asyncio.run(serve(chosen))
    except KeyboardInterrupt:
        pass
