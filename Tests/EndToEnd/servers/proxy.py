#!/usr/bin/python3
"""A recording proxy before Figaro: passes octets through unchanged and notes each message that a customer's server puts
on the wire, with the reply that its final dot got."""

import argparse
import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from servers.process import Process, free_port
from servers.record import Record, Recorder, unstuffed


class Tap:
    """Follows one connection: what the client says, and where the server answers 354 and the final dot."""

    def __init__(self, recorder):
        self.recorder = recorder
        self.buffer, self.replies = bytearray(), bytearray()
        self.state, self.searched = "commands", 0
        self.message, self.sender, self.recipients = None, None, []

    def client(self, data):
        self.buffer += data
        if self.state == "commands":
            *lines, rest = bytes(self.buffer).split(b"\r\n")
            self.buffer[:] = rest
            for line in lines:
                self.command(line.decode("utf-8", "replace"))
        if self.state == "content":
            self.content()

    def command(self, line):
        verb, _, rest = line.partition(" ")
        if verb.upper() == "MAIL":
            self.sender, self.recipients = rest, []
        elif verb.upper() == "RCPT":
            self.recipients.append(rest)

    def content(self):
        if self.buffer.startswith(b".\r\n"):
            end, length = 0, 3
        else:
            at = self.buffer.find(b"\r\n.\r\n", max(0, self.searched - 4))
            self.searched = len(self.buffer)
            if at < 0:
                return
            end, length = at + 2, at + 5
        self.message = unstuffed(bytes(self.buffer[:end]))
        del self.buffer[:length]
        self.state = "dot"

    def server(self, data):
        """Customers wait for the replies to DATA and to the dot, so a reply belongs to the state it finds."""
        self.replies += data
        *lines, rest = bytes(self.replies).split(b"\r\n")
        self.replies[:] = rest
        for line in lines:
            if line.startswith(b"354"):
                self.state, self.searched = "content", 0
            elif self.state == "dot" and line[3:4] != b"-":
                self.recorder.message(
                    self.message, sender=self.sender, recipients=self.recipients, reply=line.decode("latin-1"))
                self.state, self.message = "commands", None


async def pump(reader, writer, see):
    """One direction; its end is passed on alone, since Exim closes its own after QUIT and still reads the reply."""
    try:
        while data := await reader.read(65536):
            see(data)
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def serve(options):
    recorder = Recorder(options.record)

    connections = set()  # asyncio itself holds tasks weakly: those that wait for each other would vanish

    async def connection(reader, writer):
        connections.add(asyncio.current_task())
        asyncio.current_task().add_done_callback(connections.discard)
        try:
            onward = await asyncio.open_connection("127.0.0.1", options.to)
        except OSError:
            writer.close()
            return
        tap = Tap(recorder)
        await asyncio.gather(pump(reader, onward[1], tap.client), pump(onward[0], writer, tap.server))
        for each in (writer, onward[1]):
            each.close()

    server = await asyncio.start_server(connection, "127.0.0.1", options.port, backlog=1000)
    await server.serve_forever()


class Proxy:
    """The proxy as a process of its own, between a port of its own and another one."""

    def __init__(self, folder, to):
        self.port = free_port()
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.record = Record(folder)
        self.process = Process(
            "proxy", ["/usr/bin/python3", __file__, "--record", folder, "--port", self.port, "--to", to], folder)
        self.process.wait_for_port(self.port)

    def stop(self):
        self.process.stop(5)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--record", required=True, metavar="FOLDER")
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--to", type=int, required=True)
    asyncio.run(serve(arguments.parse_args()))
