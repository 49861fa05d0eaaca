"""The load driver of the benchmarks tells the truth; and a short form of their variants with exact counts."""

import pytest

from servers.driver import LoadSink, arrived, build, certificate, send, sent
from servers.figaro import Figaro, range_of_254
from servers.process import Failed, Folder, free_port, wait_until
from servers.unbound import Unbound

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def tools():
    with Folder("tools") as folder:
        yield build(folder)


def test_source_and_sink_count_the_same(folder, tools, started):
    sink = started(LoadSink(folder / "sink", tools, "--record", folder / "arrived"))
    place = f"127.0.0.1:{sink.port}"
    kept = send(tools, place, "--messages", 300, "--sessions", 10, "--recipients", 3, "--record", folder / "sent")
    assert (kept["accepted"], kept["refused"], kept["broken"], kept["connections"]) == (300, 0, 0, 10)
    assert sum(count for _, count in kept["dot_to_250_ms"]["histogram"]) == 300
    counts = sink.counts()
    assert (counts["messages"], counts["recipients"], counts["connections"]) == (300, 900, 10)
    # Sizes around the source's block of content and its line, each a connection a message, in one write or many.
    for size in (0, 1, 79, 80, 65_519, 65_521, 300_000):
        before = sink.counts()["octets"]
        done = send(tools, place, "--messages", 7, "--sessions", 3, "--per-session", 1, "--size", size, "--pipelining")
        assert (done["accepted"], done["connections"]) == (7, 7)
        # Header, content, and what ends it: 350 octets are plenty for a header.
        assert 7 * size < sink.counts()["octets"] - before < 7 * (size + 350)
    sink.stop()
    records = sent(folder / "sent")
    assert [sequence for sequence, *_ in records] == list(range(300))
    assert all(due <= dot <= replied and code == 250 for _, due, dot, replied, code in records)
    came = arrived(folder / "arrived")
    assert len(came) == 300 + 7 * 7
    begun = {sequence: (start, time) for sequence, start, time in came[:300]}
    assert all(due <= begun[sequence][0] <= begun[sequence][1] <= replied for sequence, due, _, replied, _ in records)


def test_an_open_loop_keeps_its_rate_when_the_receiver_does_not(folder, tools, started):
    sink = started(LoadSink(folder / "sink", tools))
    done = send(tools, f"127.0.0.1:{sink.port}", "--messages", 400, "--sessions", 8, "--rate", 400, "--even")
    assert 0.9 < done["seconds"] < 1.5
    slow = started(LoadSink(folder / "slow", tools, "--delay", 100))
    # Two sessions take 20 messages a second, 100 become due: the last one waits for some four seconds.
    done = send(tools, f"127.0.0.1:{slow.port}", "--messages", 100, "--sessions", 2, "--rate", 100, "--even")
    assert 4.9 < done["seconds"] < 7
    assert 100 <= done["dot_to_250_ms"]["p50"] < 200
    assert done["due_to_250_ms"]["max"] > 3500, "a message that found no session free waits, and that counts"
    assert done["most_waiting"] > 60


@pytest.mark.parametrize("mode, words, code", [
    ("refuse", "connect: Connection refused", None), ("busy", "banner: 421", None), ("later", "RCPT: 450", "450"),
    ("never", "RCPT: 550", "550"), ("full", "the final dot: 452", "452"), ("hang", "not done within 2 s", None)])
def test_a_receiver_of_no_use_is_told_exactly(folder, tools, started, mode, words, code):
    sink = started(LoadSink(folder / "sink", tools, "--mode", mode))
    load = ["--messages", 20, "--sessions", 2]
    with pytest.raises(Failed, match=words):
        send(tools, f"127.0.0.1:{sink.port}", *load, limit=2)
    if code:
        done = send(tools, f"127.0.0.1:{sink.port}", *load, "--tolerate")
        assert (done["accepted"], done["refused"], done["codes"]) == (0, 20, {code: 20})
    assert sink.delivered() == 0


@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_variants_in_short(folder, tools, started, way):
    """600 recipients in up to 300 domains of one provider, TLS on both sides: each arrives exactly once."""
    chain, key = certificate(folder, "relay.example")
    sink = started(LoadSink(folder / "sink", tools, "--certificate", chain, "--key", key, "--record",
                            folder / "arrived", listen=["127.88.31.1:0"]))
    zone = started(Unbound(folder / "unbound", "many.example", [
        "mx A 127.88.31.1", *(f"d{number:04} MX 10 mx.many.example." for number in range(300))]))
    figaro = started(Figaro(
        folder / "figaro", ipmap={
            "ranges": {"loop": range_of_254()},
            "pools": {"main": {"members": ["loop"], "select": "random", "messages_per_session": 5}},
            "routes": {"default": {"steps": ["pool main/4"]}}},
        configuration={"dns": {"servers": [f"127.0.0.1:{zone.port}"]},
                       "delivery": {"allow": [f"127.88.31.0/24:{sink.port}"], "port": sink.port},
                       "tls": {"certificates": [{"certificate": str(chain), "key": str(key)}]}}))
    secure = free_port()
    figaro.settings["listeners"].append({"address": "127.0.0.1", "port": secure, "tls": way})
    figaro.write_configuration()
    figaro.start()
    done = send(tools, f"127.0.0.1:{secure}", "--messages", 300, "--sessions", 10, "--per-session", 10,
                "--recipients", 2, "--to", "reader@d#.many.example", "--domains", 300, "--tls", way, "--record",
                folder / "sent")
    assert (done["accepted"], done["refused"], done["broken"]) == (300, 0, 0)
    assert 30 <= done["connections"] < 40, "each session may end with a connection that carries fewer than ten"
    assert done["resumed"] >= 10, "a customer that comes back resumes its TLS session"
    wait_until(lambda: sink.counts()["recipients"] >= 600, 60, "600 recipients served")
    wait_until(lambda: figaro.command("queue", "list", "--json").strip() in ("", "[]"), 10, "nothing waits any more")
    counts = sink.counts()
    assert (counts["recipients"], counts["refused"]) == (600, 0)
    assert counts["secured"] == counts["connections"]
    assert counts["connections"] >= counts["messages"] / 5, "messages_per_session is kept"
    sink.stop()
    assert {sequence for sequence, *_ in arrived(folder / "arrived")} == set(range(300))
    assert figaro.process.alive()
