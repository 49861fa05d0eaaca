"""A deep queue that is steered while mail flows: how long each order takes, and what everyone else notices of it."""

import json
import time

from load.depth import World, domain, live, other_client, refused, seen
from load.probes import Probes, percentile
from load.spool import patience, shape
from servers.process import wait_until

# What SpoolFiller says of each message; new mail has had no reply yet.
said = "try again later"


class Steered:
    """A relay with `count` deferred messages of `acme` for live domains and as many of `other` for dead ones, all due
    in hours, and letters to other domains all the while."""

    def __init__(self, folder, count, domains=200):
        self.count = count
        self.world = World(folder)
        self.world.fill(count, domains, live, prefix="a", customer="acme")
        self.world.fill(count, domains, refused, prefix="b", customer="other")
        # What a busy machine keeps from being delivered at first is not to wait for minutes.
        self.world.figaro.settings["delivery"]["schedule"] = ["2s"]
        self.world.figaro.write_configuration()
        self.world.start(patience(2 * count))
        self.figaro = self.world.figaro

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.world.__exit__()

    def order(self, verb, *words):
        """Carries out an order; returns its report, with the seconds that the command took."""
        start = time.monotonic()
        report = json.loads(self.figaro.command("queue", verb, *words, "--json", seconds=patience(2 * self.count)))
        return {**report, "seconds": time.monotonic() - start}

    def summary(self):
        start = time.monotonic()
        said = self.figaro.command("queue", "summary", "--json", seconds=patience(2 * self.count))
        lines = [json.loads(line) for line in said.splitlines()]
        return lines, time.monotonic() - start

    def total(self):
        return next(each for each in self.summary()[0] if each["kind"] == "total")

    def probes(self, seconds, interval=0.02):
        """Letters at a steady pace to twenty sites, from now on."""
        run = Probes(self.figaro.port, self.world.seen.record, [domain(number, seen, "p") for number in range(20)],
                     interval, int(seconds / interval), other_client, name=f"probe{time.monotonic_ns()}")
        run.start()
        return run

    def left(self):
        """Rows of the spool, once the relay is stopped."""
        self.figaro.stop()
        return shape(self.world.spool)[0]


def steer(steered, say=lambda text: None):
    """Holds, releases and deletes by filter while letters are sent; checks each count, and returns the figures."""
    count, figures, begun = steered.count, {}, [("start", time.time())]

    def take(name, report, wanted=count):
        assert report["messages"] == report["recipients"] == wanted, report
        figures[name] = report["seconds"]
        begun.append((f"after {name}", time.time()))
        say(f"{name:18} {wanted:9} messages {report['seconds']:7.2f} s")
        return report

    calm = steered.probes(4)
    calm = [percentile(each, 99) for each in calm.finish(patience(count) / 2)]
    probes = steered.probes(max(8, count / 5_000))
    take("dry run", steered.order("hold", "--customer", "acme", "--reply", said, "--dry-run"))
    take("hold", steered.order("hold", "--customer", "acme", "--reply", said, "--reason", "bench"))
    lines, seconds = steered.summary()
    figures["summary"] = seconds
    say(f"{'summary':18} {2 * count:9} messages {seconds:7.2f} s")
    total = lines[0]
    assert total["states"].get("held") == count and total["recipients"] >= 2 * count, total
    assert not steered.world.sink.delivered(), "held mail is not sent"
    take("delete", steered.order("delete", "--customer", "other", "--reply", said, "--reason", "bench"))
    start = time.monotonic()
    first = steered.world.sink.delivered()
    release = time.time()
    take("release", steered.order("release", "--state", "held", "--reason", "bench"))
    accepted, delivered = probes.finish(patience(count))
    figures["calm p99"], figures["calm delivered p99"] = calm
    # From the release on the relay delivers what was released as fast as it can, which is another load.
    waits = {each: probes.answered[each] - at for each, at in probes.planned.items()}
    quiet = [wait for each, wait in waits.items() if probes.planned[each] < release]
    figures["accepted p99"], figures["delivered p99"] = percentile(quiet, 99), percentile(delivered, 99)
    figures["accepted most"], figures["accepted most, released"] = max(quiet), max(accepted)
    for number, (name, since) in enumerate(begun):
        end = begun[number + 1][1] if number + 1 < len(begun) else float("inf")
        found = [wait for each, wait in waits.items() if since <= probes.planned[each] < end]
        say(f"  {name:18} {len(found):5} letters, {1000 * max(found, default=0):7.0f} ms at most")
    say(f"letters: accepted within {1000 * figures['accepted p99']:.0f} ms (p99; {1000 * max(quiet):.0f} at most; "
        f"{1000 * calm[0]:.0f} before), delivered within {1000 * figures['delivered p99']:.0f} ms (p99)")
    wait_until(lambda: steered.world.sink.delivered() - first >= count, patience(count), "what was released arrives")
    figures["delivered a second"] = count / (time.monotonic() - start)
    say(f"released mail delivered at {figures['delivered a second']:.0f} a second")
    time.sleep(1)
    assert steered.world.sink.delivered() - first == count, "each once"
    return figures
