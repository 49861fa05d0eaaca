#!/usr/bin/python3
"""A recording proxy before Figaro: passes octets through unchanged and notes each message that a customer's server puts
on the wire, after DATA or in chunks, with the reply that its end got."""

import argparse
import asyncio
import collections
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from servers.process import Process, free_port
from servers.record import Record, Recorder, unstuffed


class Tap:
    """Follows one connection: what the client says, and which reply answers what."""

    def __init__(self, recorder):
        self.recorder = recorder
        self.buffer, self.replies = bytearray(), bytearray()
        self.in_content, self.searched = False, 0
        self.sender, self.recipients = None, []
        self.chunks, self.chunk_count, self.left, self.is_last = bytearray(), 0, 0, False
        # What has not been answered yet, in order; a message stands for its own end.
        self.asked = collections.deque([("greeting", None)])

    def client(self, data):
        self.buffer += data
        while self.step():
            pass

    def step(self):
        """Takes one command, chunk or message off the buffer; False when it is not all there."""
        if self.in_content:
            return self.content()
        if self.left:
            return self.chunk()
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self.buffer[:end])
        del self.buffer[:end + 2]
        self.command(line.decode("utf-8", "replace"))
        return True

    def command(self, line):
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        if verb == "MAIL":
            self.sender, self.recipients = rest, []
            self.chunks.clear()
            self.chunk_count = 0
        elif verb == "RCPT":
            self.recipients.append(rest)
        elif verb == "BDAT":
            self.left, self.is_last = int(rest.split()[0]), rest.upper().endswith("LAST")
            self.chunk_count += 1
            if not self.left:
                self.end_chunk()
            return
        self.asked.append((verb, None))

    def chunk(self):
        taken = self.buffer[:self.left]
        del self.buffer[:self.left]
        self.chunks += taken
        self.left -= len(taken)
        if not self.left:
            self.end_chunk()
        return bool(taken)

    def end_chunk(self):
        self.asked.append(("BDAT", bytes(self.chunks) if self.is_last else None))

    def content(self):
        if self.buffer.startswith(b".\r\n"):
            end, length = 0, 3
        else:
            at = self.buffer.find(b"\r\n.\r\n", max(0, self.searched - 4))
            self.searched = len(self.buffer)
            if at < 0:
                return False
            end, length = at + 2, at + 5
        self.asked.append(("dot", unstuffed(bytes(self.buffer[:end]))))
        del self.buffer[:length]
        self.in_content = False
        return True

    def server(self, data):
        """Each reply answers the oldest command without one; customers wait for the reply to DATA."""
        self.replies += data
        *lines, rest = bytes(self.replies).split(b"\r\n")
        self.replies[:] = rest
        for line in lines:
            if line[3:4] == b"-":
                continue
            verb, message = self.asked.popleft() if self.asked else ("", None)
            if verb == "DATA" and line.startswith(b"354"):
                self.in_content, self.searched = True, 0
            elif message is not None:
                self.recorder.message(
                    message, sender=self.sender, recipients=self.recipients, reply=line.decode("latin-1"),
                    chunks=self.chunk_count if verb == "BDAT" else 0)


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
