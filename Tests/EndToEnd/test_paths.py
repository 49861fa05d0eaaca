"""What a receiver teaches outlives kill -9, is shown, and is taken back by an operator with a reason."""

import json
import random
import smtplib
import subprocess

from load.ledger import message
from servers.figaro import Figaro, binary
from servers.process import wait_until
from servers.provider import Provider, Watch
from servers.receiver import Receiver


def send(figaro, identifier, recipient="reader@sink.example"):
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=20) as client:
        client.sendmail("author@customer.example", [recipient],
                        message(identifier, 900, random.Random(identifier)))


def run(figaro, *words):
    done = subprocess.run([binary(), *words, "--config", figaro.config], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def sites(figaro):
    return [json.loads(line) for line in figaro.command("site", "list", "--json").splitlines()]


def refused(figaro):
    """Sources that the receiver refused, as the relay knows it."""
    return sum((each.get("memory") or {}).get("refused_sources", 0) for each in sites(figaro))


def in_file(figaro, kind):
    done = subprocess.run(["sqlite3", "-readonly", figaro.spool / "paths.sqlite",
                           f"SELECT count(*) FROM memory WHERE kind = {kind}"],
                          capture_output=True, text=True, timeout=20)
    return int(done.stdout or 0)


def refused_in_file(figaro):
    return in_file(figaro, 1)


def relay(folder, provider, addresses, budget, schedule):
    ranges = {"loop": {"cidr": addresses, "exclude": [addresses.partition("/")[0]], "ehlo": "out-{4}.relay.example"}}
    return Figaro(folder / "figaro", ipmap={
        "ranges": ranges, "pools": {"main": {"members": ["loop"], "messages_per_session": 1}},
        "routes": {"default": {"steps": [f"pool main/{budget}"]}},
        "sites": {provider.domain: {"host": provider.address, "port": provider.port, "tls": "none"}}}, configuration={
            "delivery": {"allow": [f"{provider.address}/32:{provider.port}"], "schedule": schedule, "jitter": 0}})


class Club(Provider):
    """Knows whoever came first, and turns away every address that it does not know."""

    name = "club"
    member = None

    def judge(self, phase, peer, what):
        if phase == "mail":
            self.member = self.member or peer
            if peer != self.member:
                return f"550 5.7.1 IP not in whitelist for RCPT domain, closing connection [{peer}]"


def test_the_address_that_a_receiver_knows_is_known_after_a_kill(folder, started):
    watch = started(Watch(Club("127.66.3.1")))
    club = watch.providers[0]
    figaro = started(relay(folder, club, "127.77.0.0/25", 4, ["1h"]))
    figaro.start()
    send(figaro, "first", "reader@club.example")
    wait_until(lambda: club.messages, 20, "the first message")
    wait_until(lambda: in_file(figaro, 8) == 1, 20, "whom it takes mail from is written")
    figaro.kill()
    figaro.start()
    # The first of them goes by chance, to an address that is refused; the next one is the one that the club knows.
    for number in range(2, 5):
        send(figaro, f"later-{number}", "reader@club.example")
        wait_until(lambda: len(club.messages) == number, 20, "from the address that is known, in its first round")
    assert {peer for peer, _ in club.messages} == {club.member}


class Gate(Provider):
    """Turns away every address, because of the address."""

    name = "gate"

    def judge(self, phase, peer, what):
        if phase == "rcpt":
            return f"550 5.7.606 Access denied, banned sending IP [{peer}]"


def test_tried_sources_and_a_spent_budget_of_a_message_outlive_a_kill(folder, started):
    watch = started(Watch(Gate("127.66.3.2")))
    gate = watch.providers[0]
    figaro = started(relay(folder, gate, "127.77.0.0/28", 4, ["1h"]))
    figaro.start()
    send(figaro, "only", "reader@gate.example")

    def waiting(count):
        """The message, once it waits and that many sources are written down with it."""
        found = [json.loads(line) for line in figaro.command("queue", "list", "--json").splitlines()]
        return next((each for each in found if each["waiting"][0]["state"] == "waiting"
                     and len(each["waiting"][0]["tried"]) == count), None)

    # On a machine that is too busy to connect in time it takes another round.
    message = wait_until(lambda: waiting(4) or any(waiting(count) and figaro.command("queue", "retry", "--all") is None
                                                   for count in range(4)), 60, "the budget is spent")
    figaro.kill()
    # What the receiver refused goes for everybody; what is remembered with the message must do alone.
    for end in ("", "-wal", "-shm"):
        (figaro.spool / f"paths.sqlite{end}").unlink(missing_ok=True)
    figaro.start()
    assert waiting(4)["waiting"][0]["tried"] == message["waiting"][0]["tried"]
    for count in range(5, 10):
        figaro.command("queue", "retry", message["id"])
        wait_until(lambda: waiting(count), 30, "one more source in each round")
    peers = watch.peers()
    assert len(peers) == len(set(peers)) == 9, "none of them twice before and after, and no budget anew"


def test_refusals_outlive_a_kill_and_are_forgotten_with_a_reason(folder, started):
    refusal = "rcpt=550 5.7.1 Service unavailable; client blocked using zen.blocklist.example"
    receiver = started(Receiver(folder / "receiver", "--reply", refusal))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    send(figaro, "first")
    wait_until(lambda: refused(figaro) == 4, 20, "four refused sources, the budget of a message")
    wait_until(lambda: refused_in_file(figaro) == 4, 10, "four rows in the file")
    figaro.kill()
    figaro.start()
    assert refused(figaro) == 4
    name = next(each["name"] for each in sites(figaro) if each.get("memory"))
    code, said = run(figaro, "site", "show", name)
    assert code == 0 and "cause source, level 1" in said and "blocked using zen" in said, said
    source = next(line.split()[1].rstrip(":") for line in said.splitlines() if line.startswith("refused "))
    code, said = run(figaro, "ip", "show", source)
    assert code == 0 and name in said and "level 1" in said, said
    code, said = run(figaro, "ip", "forgive", source, "--site", name, "--reason", "delisted")
    assert code == 0 and "1 source forgiven" in said, said
    assert refused(figaro) == 3
    code, said = run(figaro, "site", "forget", name, "--reason", "they lifted it")
    assert code == 0 and "forgot 3 refused" in said, said
    assert refused(figaro) == 0
    wait_until(lambda: refused_in_file(figaro) == 0, 10, "no rows in the file")
    code, said = run(figaro, "site", "forget", "nobody.example", "--reason", "test")
    assert code == 1 and "nothing is known" in said, said


def test_a_damaged_file_costs_memory_and_no_mail(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    figaro.kill()
    for end in ("", "-wal", "-shm"):
        path = figaro.spool / f"paths.sqlite{end}"
        if path.exists():
            path.write_bytes(b"this is no database " * 500)
    figaro.start()
    send(figaro, "after")
    wait_until(lambda: "after" in receiver.record.by_id(), 20, "the message")
    assert (figaro.spool / "paths.sqlite.unreadable").exists()
