"""Whom a customer may write to, how many of them, and what happens when it is far more than ever."""

import contextlib
import json
import sqlite3
import time

from servers.process import wait_until
from test_accounts import World, letter, send, world  # noqa: F401


def away_from_midnight(seconds=120):
    """Counts of a day begin anew at 00:00 UTC, which is not to come in the middle of a test."""
    left = 86_400 - time.time() % 86_400
    if left < seconds:
        time.sleep(left + 0.5)


def test_new_recipients_are_limited_and_known_after_a_kill(world):
    away_from_midnight()
    world.command("customer", "add", "acme", "--network", "127.0.0.0/8", "--limit", "new_recipients_per_day=3")
    names = [f"stranger{number}@sink.example" for number in range(5)]
    wanted = (450, b"4.7.1 Too many new recipients today, try again after 00:00 UTC")

    def refused(client, recipients):
        return client.sendmail("a@acme.example", recipients, letter("news", "a@acme.example"))

    client = world.client(tls=False)
    for each in names[:2]:
        client.mail("a@acme.example")
        assert client.rcpt(each)[0] == 250
        client.rset()
    assert refused(client, names) == {names[3]: wanted, names[4]: wanted}, "what nothing came of did not count"
    assert refused(client, [names[0].replace("s", "S", 1)]) == {}, "it is known by now"
    accounts = world.figaro.spool / "accounts.sqlite"

    def kept():
        with contextlib.closing(sqlite3.connect(f"file:{accounts}?mode=ro", uri=True)) as database:
            return database.execute(
                "SELECT (SELECT count(*) FROM recipient), (SELECT record FROM count WHERE name = 'acme')").fetchone()

    wait_until(lambda: kept()[0] == 3 and (kept()[1] or "").endswith(":2:4:3"), 60, "it is written down")
    world.figaro.kill()
    assert not any(b"stranger" in path.read_bytes() for path in world.figaro.spool.glob("accounts.sqlite*"))
    world.figaro.start()
    assert refused(world.client(tls=False), names[:4]) == {names[3]: wanted}, "both are known after a kill"
    account = json.loads(world.command("customer", "show", "acme", "--json"))["account"]
    assert account["used"] == {"new_recipients_per_day": 3}
    world.command("customer", "set", "acme", "--limit", "new_recipients_per_day=4")
    assert refused(world.client(tls=False), names) == {names[4]: wanted}


def test_a_burst_is_held_and_the_administrator_is_told(folder, started):
    world = World(folder, started, postmaster="postmaster@sink.example",
                  containment={"burst": {"recipients": 10, "factor": 2, "days": 3}})
    world.command("customer", "add", "acme", "--network", "127.0.0.0/8", "--administrator", "it@sink.example")
    world.figaro.stop()
    # Three days at four recipients an hour.
    today = int(time.time() // 86_400)
    with contextlib.closing(sqlite3.connect(world.figaro.spool / "accounts.sqlite")) as database:
        days = " ".join(f"{today - number}:4" for number in (3, 2, 1))
        database.execute("INSERT OR REPLACE INTO habit (name, record) VALUES ('acme', ?)", (days,))
        database.commit()
    world.figaro.start()
    client = world.client(tls=False)

    def shown():
        return json.loads(world.command("customer", "show", "acme", "--json"))

    recipients = [f"reader{number}@sink.example" for number in range(6)]
    assert client.sendmail("a@acme.example", recipients, letter("usual", "a@acme.example")) == {}
    world.wait_for("usual")
    assert shown()["state"] == "open"
    for number in range(20):
        assert client.sendmail("a@acme.example", recipients, letter(f"burst{number}", "a@acme.example")) == {}
        if shown()["state"] == "held":
            break
    assert (shown()["state"], shown()["by"]) == ("held", "habit")
    assert "recipients in one hour, where the busiest hour of its last days had 4" in shown()["reason"]

    def notice():
        return [event for event in world.receiver.record.messages()
                if all(any(f"<{name}@sink.example>" in each for each in event["recipients"])
                       for name in ("postmaster", "it"))]

    [event, *_] = wait_until(notice, 60, "the notice to postmaster and administrator")
    text = world.receiver.record.content(event).decode()
    assert "acme" in text and "busiest hour" in text.replace("\r\n", " ")
    assert send(client, "more", "a@acme.example") == {}, "what it sends is taken"
    held = world.command("queue", "list", "--state", "held", "--customer", "acme", "--json").splitlines()
    assert held and "more" not in world.ids(), "and kept"
    world.command("customer", "release", "acme", "--reason", "a newsletter, by telephone")
    world.wait_for("more")
