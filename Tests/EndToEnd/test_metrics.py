"""What watches the relay: its metrics, health, alert rules and dashboard."""

import http.client
import json
import pathlib
import random
import re
import smtplib
import subprocess

from load.ledger import message
from servers.figaro import Figaro, binary
from servers.process import free_port, wait_until
from servers.receiver import Receiver

root = pathlib.Path(__file__).resolve().parents[2]
promtool = pathlib.Path("/opt/figaro-dev/usr/bin/promtool")


def ask(port, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def answers(port):
    """Whether there is room for a watcher, and all is well."""
    try:
        return ask(port, "/health")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def values(page, name):
    """Samples of a family by their labels as written."""
    return {labels or "": float(value) for labels, value in
            re.findall(rf"^{name}(\{{.*\}})? ([0-9.e+-]+)$", page, re.MULTILINE)}


def watched(folder, started, *replies):
    receiver = started(Receiver(folder / "receiver", *replies))
    port = free_port()
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={
        "metrics": {"port": port}, "delivery": {"schedule": ["1h"]}}))
    figaro.start()
    return receiver, figaro, port


def send(figaro, count):
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=20) as client:
        for index in range(count):
            client.sendmail("author@customer.example", ["reader@sink.example"],
                            message(f"m{index}", 900, random.Random(index)))


def test_metrics_tell_what_happened(folder, started):
    receiver, figaro, port = watched(folder, started)
    send(figaro, 20)
    wait_until(lambda: len(receiver.record.by_id()) == 20, 20, "all are delivered")
    delivered = '{end="delivered"}'
    wait_until(lambda: values(ask(port, "/metrics")[1], "figaro_ended_recipients_total")[delivered] == 20, 10,
               "the metrics have heard of it")
    status, page = ask(port, "/metrics")
    assert status == 200
    assert values(page, "figaro_accepted_messages_total") == {'{customer="acme"}': 20}
    assert values(page, "figaro_accepted_bytes_total")['{customer="acme"}'] > 20 * 900
    assert sum(values(page, "figaro_attempts_total").values()) == 20
    commits = values(page, "figaro_commit_seconds_count")[""]
    assert commits >= 1 and values(page, "figaro_commit_seconds_bucket")['{le="+Inf"}'] == commits
    assert values(page, "figaro_committed_messages_total")[""] == 20
    states = values(page, "figaro_sources")
    assert states.pop('{state="usable"}') == 254 and not any(states.values()) and len(states) == 4, states
    outcomes = values(page, "figaro_site_recipients_total")
    assert sum(outcomes.values()) == 20 and all('outcome="delivered"' in labels for labels in outcomes), outcomes
    syncs = values(page, "figaro_syncs_total")
    assert syncs['{kind="commit"}'] == commits and '{kind="content"}' in syncs and '{kind="folder"}' in syncs
    assert values(page, "process_resident_memory_bytes")[""] > 1e6
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr + checked.stdout


def test_metrics_tell_what_waits_and_why(folder, started):
    _, figaro, port = watched(folder, started, "--reply", "rcpt=452 4.2.2 Mailbox full")
    send(figaro, 3)
    wait_until(lambda: values(ask(port, "/metrics")[1], "figaro_queue_deferred_works")[""] == 3, 20, "three wait")
    page = ask(port, "/metrics")[1]
    assert values(page, "figaro_queue_messages")[""] == 3
    # The count may have begun before the last of them was filed; the next one has it.
    wait_until(lambda: sum(values(ask(port, "/metrics")[1], "figaro_queue_works").values()) == 3, 90, "all are counted")
    works = values(ask(port, "/metrics")[1], "figaro_queue_works")
    assert all('age="0s"' in labels and 'state="waiting"' in labels for labels in works), works
    refused = {labels: count for labels, count in values(page, "figaro_attempts_total").items() if count}
    assert len(refused) == 1 and 'cause="mailbox"' in list(refused)[0] and 'decision="later"' in list(refused)[0]


def test_health_and_ready(folder, started):
    _, figaro, port = watched(folder, started)
    assert ask(port, "/health") == (200, "ok\n")
    assert ask(port, "/ready") == (200, "ok\n")
    assert ask(port, "/")[0] == 404
    assert ask(port, "/metrics", "POST")[0] == 405
    # Not its clients' trouble: silence, and more connections than it takes.
    silent = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(40)]
    for connection in silent:
        connection.connect()
    send(figaro, 1)
    for connection in silent:
        connection.close()
    wait_until(lambda: answers(port), 20, "it answers again")


def test_a_taken_port_for_metrics_is_told(folder, started):
    receiver = started(Receiver(folder / "receiver"))
    figaro = Figaro(folder / "figaro", receiver.port, configuration={"metrics": {"port": receiver.port}})
    process = subprocess.run([binary(), "serve", "--config", figaro.config], capture_output=True, text=True,
                             timeout=60)
    assert process.returncode == 1 and f"port {receiver.port}" in process.stderr, process.stderr


def test_rules_and_dashboard_load(folder):
    checked = subprocess.run([promtool, "check", "rules", root / "ops/prometheus/alerts.yaml"], capture_output=True,
                             text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr + checked.stdout
    rules = (root / "ops/prometheus/alerts.yaml").read_text()
    dashboard = json.loads((root / "ops/grafana/figaro.json").read_text())
    asked = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    page = " ".join(path.read_text() for path in (root / "Sources/Figaro/Metrics").glob("*.swift"))
    names = set(re.findall(r"(?:figaro|process)_[a-z_]+[a-z]", rules + asked))
    unknown = {name for name in names if re.sub(r"_(bucket|count|sum)$", "", name) not in page and name not in page}
    assert names and not unknown, unknown
