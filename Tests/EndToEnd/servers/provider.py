"""The pretend providers of the demo, for tests: each decides from its own state, and what was asked is noted.

What they say is what real receivers say. None of them knows what Figaro calls it.
"""

import asyncio
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "ops/demo"))

from providers import Blocker, Greylister, Limiter, Provider

__all__ = ["Blocker", "Greylister", "Limiter", "Provider", "Watch"]


class Watch:
    """Runs providers on an event loop of their own, and keeps each question with its answer."""

    def __init__(self, *providers, port=0):
        self.providers = providers
        self.asked = []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        for provider in providers:
            provider.judge = self.noting(provider, provider.judge)
            self.call(self.listen(provider, port))

    @staticmethod
    async def listen(provider, port):
        provider.server = await asyncio.start_server(provider.session, provider.address, port, limit=4 << 20)
        provider.port = provider.server.sockets[0].getsockname()[1]

    def noting(self, provider, judge):
        def judged(phase, peer, what):
            reply = judge(phase, peer, what)
            self.asked.append((time.monotonic(), provider, phase, peer, reply))
            return reply
        return judged

    def peers(self, phase="rcpt"):
        """The addresses that came so far, in order."""
        return [peer for _, _, asked, peer, _ in list(self.asked) if asked == phase]

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def stop(self):
        for provider in self.providers:
            self.loop.call_soon_threadsafe(provider.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
