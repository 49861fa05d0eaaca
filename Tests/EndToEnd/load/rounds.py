"""kill -9 under load, and the two accounts that follow: what got 250 and is missing, and what came twice."""

import dataclasses
import os
import random
import signal
import time

from load.ledger import Load
from servers.disk import ForgetfulDisk
from servers.figaro import Figaro
from servers.liar import Liar
from servers.process import Failed, wait_until
from servers.receiver import Receiver


@dataclasses.dataclass
class Account:
    taken: int
    received: int
    missing: list
    early_repeats: list  # seconds before the kill at which what came again had been delivered, above the limit
    repeats: int
    oldest_repeat: float

    def __str__(self):
        return (f"{self.taken} got 250, {self.received} arrived, {len(self.missing)} missing, "
                f"{self.repeats} came again (delivered at most {self.oldest_repeat * 1000:.0f} ms before a kill)")


def account(taken, record, kills, limit):
    """Compares the ledger with the receiver's record; `kills` are the moments of the kills."""
    arrived = record.by_id()
    missing = [identifier for identifier in taken if identifier not in arrived]
    ages = []
    for messages in arrived.values():
        for first, again in zip(messages, messages[1:]):
            between = [kill for kill in kills if first["time"] - 0.5 <= kill <= again["time"]]
            ages.append(min((kill - first["time"] for kill in between), default=float("inf")))
    return Account(len(taken), len(arrived), missing, [age for age in ages if age > limit], len(ages),
                   max(ages, default=0))


class Rounds:
    """One relay, one receiver and one load over some kills."""

    def __init__(self, folder, rounds, seed, disk=None, sync="normal", lying=False, limit=0.15, sessions=16,
                 pause=0.02, delay=0, slow=0):
        """`disk`: None for plain kills, `all` or `some` to throw away all or some unsynced writes at each; `delay`:
        microseconds that each fsync takes longer then; `slow`: seconds the receiver takes for each reply, so that
        something is always waiting in the spool."""
        self.folder, self.rounds, self.seed, self.limit = folder, rounds, seed, limit
        self.dice = random.Random(seed)
        self.receiver = Receiver(folder / "receiver", "--no-content", "--slow", str(slow))
        self.disk_mode = disk
        self.disk = ForgetfulDisk(folder / "disk", folder / "figaro" / "spool", sync, delay) if disk else None
        self.figaro = Figaro(
            folder / "figaro", self.receiver.port, env=self.disk.env if self.disk else None,
            configuration={"delivery": {"schedule": ["1s"]}, "log": {"level": "warning"}})
        self.figaro.start()
        self.liar = Liar(folder, self.figaro.port) if lying else None
        self.load = Load(folder, self.liar.port if lying else self.figaro.port, sessions=sessions, pause=pause,
                         seconds=600, seed=seed)
        self.kills = []

    def run(self, say=lambda text: None):
        """Kills as often as asked, waits until everything has arrived or nothing moves, and gives the account."""
        for number in range(1, self.rounds + 1):
            before = len(self.load.taken())
            wait_until(lambda: len(self.load.taken()) > before + 50, 60, "the load gets 250s", 0.1)
            time.sleep(self.dice.uniform(0.3, 3))
            self.kills.append(time.time())
            os.kill(self.figaro.process.server, signal.SIGKILL)
            self.figaro.kill()
            if self.disk:
                say(self.disk.cut_power(self.seed + number if self.disk_mode == "some" else None))
            self.restart()
            say(f"round {number}: killed with {len(self.load.taken())} taken")
        time.sleep(1)
        self.load.stop()
        return self.settle()

    def restart(self):
        self.figaro.start(60)

    def settle(self):
        """Until the receiver has all of it, or got nothing new for ten seconds."""
        taken, last, since = self.load.taken(), -1, time.monotonic()
        while time.monotonic() - since < 10:
            arrived = len(self.receiver.record.messages())
            if all(identifier in self.receiver.record.by_id() for identifier in taken):
                time.sleep(1)
                break
            if arrived != last:
                last, since = arrived, time.monotonic()
            time.sleep(0.25)
        return account(taken, self.receiver.record, self.kills, self.limit)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.load.stop()
        for server in (self.figaro, self.liar, self.receiver):
            if server:
                server.stop()


def lost_under_mutation(rounds, **options):
    """Whether kill rounds under a mutation lose mail, or leave a spool that cannot even be opened."""
    with Rounds(**options, rounds=rounds) as run:
        try:
            return bool(run.run().missing)
        except Failed:
            return not run.figaro.process.alive()
