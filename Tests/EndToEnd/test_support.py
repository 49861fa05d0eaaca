"""The support bundle holds what helps, and nothing of customers, content or keys; every command's help teaches."""

import json
import re
import smtplib
import subprocess
import tarfile

from servers.driver import certificate
from servers.figaro import Figaro, binary
from servers.process import free_port, wait_until
from servers.receiver import Receiver


def test_a_bundle_has_no_secrets_no_content_and_no_local_parts(folder, started):
    receiver = started(Receiver(
        folder / "receiver", "--recipient",
        "hidden.person=550 5.1.1 <hidden.person@sink.example> unknown, hidden.person!",
        "--recipient", "verybusy=452 4.2.2 Mailbox of verybusy@sink.example is full"))
    chain, key = certificate(folder, "relay.example")
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={
        "postmaster": "secret.postmaster@relay.example",
        "metrics": {"port": free_port()},
        "tls": {"certificates": [{"certificate": str(chain), "key": str(key)}]}}))
    text = figaro.config.read_text()
    figaro.config.write_text("# the old password was hunter2\n" + text)
    figaro.start()
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=20) as client:
        client.sendmail("confidential.author@customer.example", ["hidden.person@sink.example", "verybusy@sink.example"],
                        b"Subject: topsecretsubject\r\n\r\nunspeakablecontent\r\n")
        client.docmd("MAIL", "FROM:<broken<address@customer.example>")
    wait_until(lambda: "verybusy" in figaro.command("queue", "list", "--json"), 20, "one waits")
    target = folder / "bundle.tar.gz"
    wait_until(lambda: "452" in figaro.command("queue", "list", "--json"), 20, "one was refused for now")
    figaro.command("support-bundle", "--to", target)
    with tarfile.open(target) as bundle:
        files = {each.name.rpartition("/")[2]: bundle.extractfile(each).read().decode()
                 for each in bundle.getmembers() if each.isfile()}
    everything = "\n".join(files.values())
    for private in ("hidden.person", "verybusy", "confidential.author", "secret.postmaster", "hunter2", "topsecret",
                    "unspeakable", "PRIVATE KEY", *key.read_text().splitlines()[1:-1]):
        assert private not in everything, (private, [name for name in files if private in files[name]])
    assert re.findall(r"[\w.+-]+@[\w-]+\.[\w.]+", everything) == []
    # What helps is there.
    assert {"version.txt", "config.yaml", "ipmap-test.yaml", "health.txt", "metrics.txt", "log.txt", "machine.txt",
            "process-limits.txt", "trace.jsonl"} <= set(files), sorted(files)
    assert "…@relay.example" in files["config.yaml"] and "127.77.0.0/24" in files["ipmap-test.yaml"]
    assert "figaro_queue_messages" in files["metrics.txt"] and "ready: ok" in files["health.txt"]
    assert "event=ready" in files["log.txt"] and "Max open files" in files["process-limits.txt"]
    assert "net.core.somaxconn" in files["machine.txt"] and "queue.sqlite" in files["machine.txt"]
    events = [json.loads(line) for line in files["trace.jsonl"].splitlines()]
    assert {"accepted", "attempt"} <= {each["event"] for each in events}
    assert any("452 4.2.2" in each.get("reply", "") for each in events), "a receiver's words are what is looked for"
    assert oct(target.stat().st_mode & 0o777) == "0o600"
    again = subprocess.run([binary(), "support-bundle", "--to", target, "--config", figaro.config],
                           capture_output=True, text=True, timeout=60)
    assert again.returncode == 73 and "already" in again.stderr
    # Without a relay there is less in it, and it says so.
    assert figaro.stop() == 0
    figaro.command("support-bundle", "--to", folder / "less.tar.gz")
    with tarfile.open(folder / "less.tar.gz") as bundle:
        assert "figaro-support/relay.txt" in bundle.getnames()


def test_shells_complete_and_man_shows_every_command(folder):
    for shell, word in (("bash", "complete"), ("zsh", "#compdef figaro"), ("fish", "complete -c")):
        done = subprocess.run([binary(), "completion", shell], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and word in done.stdout and "support-bundle" in done.stdout
    (folder / "completion").write_text(subprocess.run([binary(), "completion", "bash"], capture_output=True, text=True,
                                                      timeout=60).stdout)
    checked = subprocess.run(["bash", "-n", folder / "completion"], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0 and not checked.stderr
    page = subprocess.run([binary(), "manual"], capture_output=True, text=True, timeout=60).stdout
    (folder / "figaro.8").write_text(page)
    shown = subprocess.run(["man", "-l", folder / "figaro.8"], capture_output=True, text=True, timeout=60,
                           env={"MANPAGER": "cat", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "100"})
    assert shown.returncode == 0, shown.stderr
    for word in ("figaro queue list", "figaro audit", "figaro restore", "Exit codes"):
        assert word in shown.stdout, word
