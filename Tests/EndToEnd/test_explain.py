"""`figaro explain`: why a message is where it is, by which rule, from which source, and what happens next."""

import json
import re
import subprocess

from servers.figaro import Figaro, binary, range_of_254, root
from servers.process import wait_until
from servers.receiver import Receiver
from test_steering import letter


def explain(figaro, identifier, *words):
    return json.loads(figaro.command("explain", identifier, "--json", *words))


def text(figaro, identifier):
    return figaro.command("explain", identifier)


def relay(folder, started, *conduct, schedule=("1h",), **options):
    receiver = started(Receiver(folder / "receiver", *conduct))
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={
        "delivery": {"schedule": list(schedule)}}, messages_per_session=1, **options))
    return receiver, figaro.start()


def tried(figaro, identifier):
    """The explanation, once an attempt is in the history and it waits again."""
    return wait_until(lambda: next((found for found in [explain(figaro, identifier)] if found["decisions"] and
                                    {part["state"] for part in found["parts"]} <= {"waiting"}), None), 20, "it waits")


def test_what_waits_is_told_with_rule_route_step_sources_and_next(folder, started):
    receiver, figaro = relay(folder, started, "--reply", "rcpt=450 4.7.1 Greylisted, please come back in 20 minutes")
    identifier = letter(figaro.port, "grey", ["reader@sink.example"])
    found = tried(figaro, identifier)
    assert found["customer"] == "acme" and found["sender"] == "author@shop.example" and not found["ends"]
    [decision], [part] = found["decisions"], found["parts"]
    assert decision["cause"] == "greylist" and decision["decision"] == "later" and "Greylisted" in decision["said"]
    # The rule stands where it says.
    place = re.fullmatch(r"built-in replies\.yaml:(\d+)(:\d+)?", decision["rule_place"])
    rules = (root / "Sources/Figaro/Resources/replies.yaml").read_text().splitlines()
    assert decision["rule"] in "\n".join(rules[int(place[1]) - 2:int(place[1]) + 1]), decision
    assert "drawn at random" in decision["source_why"]
    # It keeps to its source, and all others are left out because of that.
    assert part["pinned"] == decision["source"] and f"from {decision['source']} alone" in part["next"]
    assert part["next_at"] and part["next_at"] < part["deadline"]
    way = part["way"]
    assert way["route"] == "default" and re.search(r"test\.yaml:\d+", way["route_place"])
    assert way["steps"] == ["pool main/4"] and way["step"] == 1
    assert way["free"]["sources"] == [f"{decision['source']}({decision['source_address']})"]
    assert way["others"][0]["count"] == 253 and decision["source"] in way["others"][0]["why"]
    said = text(figaro, identifier)
    for words in (decision["rule"], decision["rule_place"], "keeps to", "route     default", "deadline", "where it is"):
        assert words in said, (words, said)
    # Held: time stands still, and nothing happens before it is released.
    figaro.command("queue", "hold", identifier, "--reason", "wrong prices")
    held = explain(figaro, identifier)["parts"][0]
    assert held["state"] == "held" and held["held"]["reason"] == "wrong prices" and "deadline" not in held
    assert "queue release" in held["next"] and "next_at" not in held
    assert "wrong prices" in text(figaro, identifier)
    # Suspended: what an operator said stands in the way.
    figaro.command("queue", "release", identifier, "--reason", "corrected")
    found = tried(figaro, identifier)
    figaro.command("site", "suspend", "sink.example", "--reason", "they asked us")
    assert "they asked us" in explain(figaro, identifier)["parts"][0]["next"]
    assert [line.split()[1] for line in found["orders"]] == ["held", "released"]


def test_a_refused_source_says_why_the_next_one_was_taken(folder, started):
    ipmap = {"ranges": {"loop": range_of_254()}, "pools": {"main": {"members": ["loop"], "messages_per_session": 1}},
             "routes": {"default": {"steps": ["pool main/2"]},
                        "shop": {"when": {"sender_domain": "shop.example"}, "steps": ["pool main/3"]}}}
    blocked = "rcpt=550 5.7.1 Service unavailable; client host blocked using zen.spamhaus.org"
    receiver = started(Receiver(folder / "receiver", "--reply", blocked))
    ipmap["sites"] = {"sink.example": {"host": "127.0.0.1", "port": receiver.port, "tls": "none"}}
    figaro = started(Figaro(folder / "figaro", receiver.port, ipmap=ipmap,
                            configuration={"delivery": {"schedule": ["1h"]}})).start()
    identifier = letter(figaro.port, "burnt", ["reader@sink.example"])
    found = tried(figaro, identifier)
    sources = [each["source"] for each in found["decisions"]]
    assert len(sources) == len(set(sources)) == 3, found["decisions"]
    assert sources[0] in found["decisions"][1]["source_why"] and sources[1] in found["decisions"][2]["source_why"]
    [part] = found["parts"]
    assert part["tried"] == sources and part["way"]["route"] == "shop"
    assert "from shop.example" in part["way"]["route_why"] and part["way"]["step"] == 2, "all steps are spent"
    why = {each["why"]: each["count"] for each in part["way"]["others"]}
    assert why.get("from which this message was refused before") == 3, why
    explained = json.loads(figaro.command("ipmap", "explain", "--sender", "a@shop.example", "--recipient",
                                          "b@sink.example", "--json"))
    assert explained["route"] == "shop" and re.search(r"test\.yaml:\d+", explained["route_place"])
    # One of its sources taken out of use says who and why.
    figaro.command("ip", "disable", "127.77.0.9", "--reason", "router")
    assert any("router" in each["why"] for each in explain(figaro, identifier)["parts"][0]["way"]["others"])


def test_what_is_on_the_wire_and_what_has_ended_are_told(folder, started):
    receiver, figaro = relay(folder, started, "--slow", "1", "--recipient", "nobody=550 5.1.1 no such user here")
    identifier = letter(figaro.port, "wire", ["reader@sink.example"])
    part = wait_until(lambda: next((each for each in explain(figaro, identifier)["parts"]
                                    if "being sent now" in each["next"]), None), 10, "it is on the wire")
    assert re.search(r"from loop-\d+\(127\.77\.0\.\d+\) to ", part["next"]), part
    wait_until(lambda: "wire" in receiver.record.by_id(), 20, "it arrives")
    ended = wait_until(lambda: next((each for each in [explain(figaro, identifier)]
                                     if each["ends"] and not each["parts"]), None), 20, "it ends")
    assert [(each["how"], each["recipients"]) for each in ended["ends"]] == [("delivered", ["reader@sink.example"])]
    assert "nothing: every recipient has ended" in text(figaro, identifier)
    # Half of it fails: the rule that decided it, and who was told.
    failed = letter(figaro.port, "half", ["nobody@sink.example", "reader@sink.example"])
    wait_until(lambda: len(explain(figaro, failed)["ends"]) == 2, 30, "both have ended")
    found = wait_until(lambda: next((each for each in [explain(figaro, failed)] if each["notices"]), None), 20, "told")
    ends = {each["recipients"][0].partition("@")[0]: each["how"] for each in found["ends"]}
    assert ends == {"nobody": "failed", "reader": "delivered"}
    decision = next(each for each in found["decisions"] if each["decision"] == "failed")
    assert decision["cause"] == "recipient" and decision["rule_place"]
    assert "author@shop.example" in found["notices"][0]
    assert figaro.stop() == 0
    figaro.start()
    assert explain(figaro, identifier)["ends"] == ended["ends"], "it is told after a restart as well"


def test_what_is_not_known_is_said(folder, started):
    receiver, figaro = relay(folder, started)
    for identifier, words in (("01M3QK7B8WZ4A", "nothing is known"), ("nonsense", "13 letters")):
        done = subprocess.run([binary(), "explain", identifier, "--config", figaro.config], capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 1 and words in done.stderr, done.stderr
    # No host takes mail for it: that is what happens next.
    broken = letter(figaro.port, "lost", ["reader@nowhere.invalid"])
    wait_until(lambda: explain(figaro, broken)["decisions"], 30, "it was tried")
    assert explain(figaro, broken)["decisions"][0]["phase"] == "resolve"
