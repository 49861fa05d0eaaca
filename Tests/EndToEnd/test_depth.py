"""A queue that is deep and mostly dead: the relay comes back at once, and nobody else notices. ops/bench/depth does the
same with a million messages."""

import json
import math
import subprocess
import time

import pytest

from load.depth import World, broken, deaf, domain, other_client, refused, seen
from load.probes import Probes, percentile
from load.spool import fill, shape
from servers.figaro import root
from servers.process import wait_until

pytestmark = pytest.mark.alone

overdue = (-600, -1)


def probe(world, count=200):
    """The delivery times of letters to twenty sites that were never contacted before, one each 25 ms."""
    run = Probes(world.figaro.port, world.seen.record, [domain(number, seen, "p") for number in range(20)], 0.025,
                 count, other_client, name=f"probe{time.monotonic_ns()}")
    run.start()
    accepted, delivered = run.finish(30)
    assert run.trouble is None
    assert math.inf not in delivered
    return percentile(delivered, 99)


def test_dead_destinations_and_a_kill_leave_everyone_else_alone(folder):
    with World(folder) as world:
        world.start()
        calm = probe(world)
        world.figaro.stop()
        dead = 0
        for kind in (refused, deaf, broken):
            world.fill(1_700, 700, kind, due=overdue, postponed=True)
            dead += 1_700
        world.fill(100, 20, seen, due=overdue, prefix="old")
        world.start()
        world.arrival("old-", 10)
        start, banner = world.kill_and_start()
        assert banner < 2
        world.letter(domain(0, seen, "new"), "new")
        assert world.arrival("new", 3) - start < 3
        storm = probe(world)
        # The old mail is all delivered, among the dead.
        wait_until(lambda: len({each["id"] for each in world.seen.record.messages()
                                if each["id"].startswith("old-")}) == 100, 30, "all old mail arrives")
        assert storm < max(2 * calm, calm + 0.25), f"p99 {calm:.3f} s became {storm:.3f} s"
        world.figaro.stop()
        counts, _ = shape(world.spool)
        assert counts["message"] == counts["waiting"] == dead


def test_a_filled_spool_is_what_deferring_over_smtp_leaves(folder):
    """The same rows in the same tables; what is packed in them is as long as it is there, but for names."""
    with World(folder / "smtp", seen_options=["--reply", "rcpt=450 4.2.0 try again later"]) as world:
        world.start()
        for number in range(300):
            world.letter(domain(number % 100, seen), f"d-{number}", size=2048)
        spool = world.spool

        def settled():
            counts, _ = shape(spool)
            return counts["waiting"] == counts["message"] == 300
        wait_until(settled, 20, "300 deferred messages", 0.2)
        world.figaro.stop()
        smtp_counts, smtp_octets = shape(spool)
    filled = folder / "filled"
    fill(filled, 300, 100, f"{seen}.depth.example", size=2048)
    counts, octets = shape(filled)
    assert counts == smtp_counts
    for name, value in octets.items():
        assert 0.7 * smtp_octets[name] - 10 < value < 1.3 * smtp_octets[name] + 120, (name, value, smtp_octets[name])


def test_the_benchmark_of_depth_runs(folder):
    """Small, and with its judgement left out: a busy machine may miss what a quiet one keeps."""
    done = subprocess.run(
        [root / "ops/bench/depth", "--short", "--storm", "one-site", "--folder", folder], capture_output=True,
        text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout[-2000:] + done.stderr[-2000:]
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["16000 old mail after it"] < 10
    assert figures["16000 new mail delivered"] > 50
    assert figures["one-site same site p99"] < 60_000
