#!/usr/bin/python3
"""The mutation "250 before the commit", as a proxy before Figaro: it says 250 itself as soon as the final dot has
passed, and swallows Figaro's own reply. Tests of durability must fail with it in the way."""

import argparse
import asyncio
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from servers.process import Process, free_port


class Connection:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.in_data, self.tail, self.swallow = False, b"", 0

    async def upward(self, reader):
        """From the client to Figaro; each final dot is answered at once."""
        while data := await reader.read(65536):
            self.server.write(data)
            await self.server.drain()
            if self.in_data:
                self.tail = (self.tail + data)[-5:]
                if self.tail.endswith(b"\r\n.\r\n"):
                    self.in_data, self.tail = False, b""
                    self.swallow += 1
                    self.client.write(b"250 2.0.0 Ok, or so I say\r\n")

    async def downward(self, reader):
        while line := await reader.readline():
            if line.startswith(b"354"):
                self.in_data, self.tail = True, b""
            if self.swallow and line[3:4] != b"-":
                self.swallow -= 1
                continue
            self.client.write(line)


async def serve(port, to):
    connections = set()  # asyncio itself holds tasks weakly: those that wait for each other would vanish

    async def connection(reader, writer):
        connections.add(asyncio.current_task())
        asyncio.current_task().add_done_callback(connections.discard)
        try:
            onward, server = await asyncio.open_connection("127.0.0.1", to)
        except OSError:
            writer.close()
            return
        both = Connection(writer, server)
        ways = [asyncio.ensure_future(way) for way in (both.upward(reader), both.downward(onward))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        writer.close()
        server.close()

    server = await asyncio.start_server(connection, "127.0.0.1", port, backlog=1000)
    await server.serve_forever()


class Liar:
    def __init__(self, folder, to):
        self.port = free_port()
        self.process = Process(
            "liar", ["/usr/bin/python3", __file__, "--port", self.port, "--to", to], folder)
        self.process.wait_for_port(self.port, seconds=10)

    def stop(self):
        self.process.stop(5)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--to", type=int, required=True)
    chosen = arguments.parse_args()
    asyncio.run(serve(chosen.port, chosen.to))
