"""What receivers' replies are taken for: `figaro replies`, on texts of every kind and after real refusals."""

import random
import signal
import smtplib
import subprocess

from load.ledger import message
from servers.figaro import Figaro, binary
from servers.process import wait_until
from servers.receiver import Receiver

causes = {"source", "range", "greylist", "volume", "host", "mailbox", "recipient", "domain", "content", "auth", "size",
          "protocol", "tls", "unknown"}


def classify(text, *words, **options):
    """The answers, one for each line; `text` is bytes."""
    done = subprocess.run([binary(), "replies", "classify", *words], input=text, capture_output=True, timeout=120,
                          **options)
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.decode().splitlines()]


def test_each_line_has_its_cause_its_rule_and_what_follows():
    replies = {
        "550 5.7.1 Service unavailable; client [192.0.2.7] blocked using zen.spamhaus.org":
            ("source", "another source"),
        "554 5.7.1 Your subnet 192.0.2.0/24 is blacklisted": ("range", "another range"),
        "451 4.7.1 Greylisting in action, please come back in 00:05:00":
            ("greylist", "later from the same source, after 300 s"),
        "421 4.7.0 Too many connections, try again in 10 minutes": ("volume", "later, after 600 s"),
        "451 4.3.0 Queue file write error": ("host", "later"),
        "452 4.2.2 Mailbox full": ("mailbox", "later"),
        "550 5.1.1 No such user here": ("recipient", "failed"),
        "554 5.7.1 Relay access denied": ("domain", "failed"),
        "550 5.7.1 Message rejected as spam": ("content", "failed"),
        "550 5.7.26 DMARC check failed": ("auth", "failed"),
        "552 5.3.4 Message too big": ("size", "failed"),
        "503 Bad sequence of commands": ("protocol", "failed"),
        "550-5.1.1 no such user": ("recipient", "failed"),
        "450 1": ("unknown", "later from the same source"),
        "550 Utilisateur inconnu": ("recipient", "failed"),
    }
    told = classify("".join(line + "\n" for line in replies).encode())
    for (line, (cause, decision)), answer in zip(replies.items(), told, strict=True):
        assert (answer[0], answer[2]) == (cause, decision), (line, answer)
        assert answer[1], line
    assert classify(b"250 2.0.0 ok\n") == [["-", "-", "accepted"]]


def test_phase_and_site_are_heeded():
    line = b"554 no\n"
    assert classify(line)[0][:2] == ["unknown", "base:unknown"]
    assert classify(line, "--phase", "banner")[0][:2] == ["source", "base:banner-554"]
    done = subprocess.run([binary(), "replies", "classify", "--phase", "lunch"], input=line, capture_output=True,
                          timeout=60)
    assert done.returncode != 0 and b"banner" in done.stderr
    assert classify(b"550 x\n", "--site", "MX.Example.Net") == [["unknown", "base:unknown", "failed"]]


def test_whatever_a_line_holds_it_has_one_answer_and_memory_stays_bounded():
    junk = random.Random(5).randbytes(300_000).replace(b"\n", b"x")
    lines = [b"", b"\0", b"550", b"550 ", b"55", b"5500 x", b"hello", b"999 x", b"-550 x", b"\r", b"550 no\rsuch\ruser",
             b"550 no such user\r", b"550 \xff\xfe\0\0", b"550 Empf\xe4nger unbekannt",
             "550 Empfänger unbekannt".encode(), b"550 " + b"a" * (10 << 20), b"550 " + b"\xc3\xa4" * 5_000_000, junk,
             b"550 5.7.1", b"550 9.9.9 x", b"550 5.99999999999999999999.1 x", b"550 5.1.1",
             b"\t550 5.1.1 x", b"550 \xe2\x80\xae x", b"550 (((|~*{"]
    code = (f"import subprocess, sys; subprocess.run([{str(binary())!r}, 'replies', 'classify'], check=True, "
            "timeout=100); import resource; "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)")
    done = subprocess.run(["python3", "-c", code], input=b"\n".join(lines), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]]
    assert len(told) == len(lines)
    assert all(len(answer) == 3 and answer[0] in causes and all(answer) for answer in told), told
    by_line = dict(zip(lines, told))
    for line in (b"550 no\rsuch\ruser", b"550 no such user\r", b"550 Empf\xe4nger unbekannt",
                 "550 Empfänger unbekannt".encode()):
        assert by_line[line][0] == "recipient", line
    assert by_line[b"hello"][1] == "base:nonsense" and by_line[b""][1] == "base:nonsense"
    assert int(done.stderr.split()[-1]) < 150_000, "kilobytes, for lines of 10 MB"


def test_answers_come_while_the_input_goes_on():
    with subprocess.Popen([binary(), "replies", "classify"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b"550 no such user\n550 mailb")
        process.stdin.flush()
        assert process.stdout.readline().split(b"\t")[0] == b"recipient"
        process.stdin.write(b"ox full\n")
        process.stdin.close()
        assert process.stdout.readline().split(b"\t")[0] == b"mailbox"
        assert process.wait(30) == 0


def test_examples_are_run_and_a_wrong_one_is_named_with_its_place(folder):
    done = subprocess.run([binary(), "replies", "test"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "each is read by its rule" in done.stdout, done.stderr
    rules = folder / "replies.yaml"
    rules.write_text("words:\n  no: [no, nein]\nrules:\n  - id: own\n    cause: volume\n    patterns: ['{no} more']\n"
                     "    source: what they told us\n    examples:\n      - 450 no more\n      - 450 nein danke\n")
    done = subprocess.run([binary(), "replies", "test", "--rules", rules], capture_output=True, text=True, timeout=60)
    assert done.returncode == 78
    assert f"{rules}:10:9: rules[0].examples[1]: rule \"own\": example \"450 nein danke\" is read by" in done.stderr
    rules.write_text(rules.read_text().replace("danke", "more"))
    assert classify(b"450 nein more\n", "--rules", rules) == [["volume", "own", "later"]]


def send(figaro, count):
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=30) as client:
        client.ehlo()
        for number in range(count):
            client.mail("author@customer.example")
            client.rcpt(f"reader{number}@sink.example")
            code, text = client.data(message(f"unknown{number}", 900, random.Random(number)))
            assert code == 250, text


def unknown(figaro):
    return [line.split("\t") for line in figaro.command("replies", "unknown").splitlines()]


def test_what_no_rule_reads_is_counted_by_its_shape_and_survives_a_restart(folder, started):
    words = [f"reader{n}=550 5.7.1 <reader{n}@sink.example> wurfel {n * 7919} on mx{n}.sink.example says quux"
             for n in range(12)]
    receiver = started(Receiver(folder / "receiver", *(part for each in words for part in ("--recipient", each))))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    send(figaro, 12)
    wait_until(lambda: sum(int(row[0]) for row in unknown(figaro)) == 12, 30, "all refusals are counted")
    [row] = unknown(figaro)
    assert row[:3] == ["12", "unknown", "rcpt"] and "wurfel" in row[4], row
    figaro.stop()
    figaro.start()
    assert unknown(figaro) == [row], "counts survive a restart"
    send(figaro, 1)
    wait_until(lambda: [each[0] for each in unknown(figaro)] == ["13"], 30, "and go on")


def test_what_a_rule_reads_now_leaves_the_list(folder, started):
    receiver = started(Receiver(folder / "receiver", "--reply", "rcpt=550 5.7.1 wurfel quux"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    figaro.start()
    send(figaro, 2)
    wait_until(lambda: [row[0] for row in unknown(figaro)] == ["2"], 30, "two are counted")
    figaro.stop()
    rules = folder / "figaro" / "replies.yaml"
    rules.write_text("rules:\n  - id: own\n    cause: content\n    patterns: [wurfel]\n"
                     "    source: the receiver's page\n    examples: [550 wurfel]\n")
    figaro.settings["replies"] = "replies.yaml"
    figaro.write_configuration()
    figaro.start()
    assert unknown(figaro) == []


def test_rules_are_reloaded_and_wrong_ones_refused(folder, started):
    """The rules in use stay where the file is wrong, and its file, line and key are named."""
    receiver = started(Receiver(folder / "receiver", "--reply", "rcpt=550 5.7.1 wurfel quux"))
    figaro = started(Figaro(folder / "figaro", receiver.port))
    rules = folder / "figaro" / "replies.yaml"
    own = ("rules:\n  - id: own\n    cause: content\n    patterns: [wurfel]\n"
           "    source: the receiver's page\n    examples: [550 wurfel]\n")
    rules.write_text(own)
    figaro.settings["replies"] = "replies.yaml"
    figaro.write_configuration()
    figaro.start()

    def rule():
        """The rule that read the refusal of a new message."""
        with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=30) as client:
            client.ehlo()
            client.mail("author@customer.example")
            client.rcpt("reader@sink.example")
            identifier = client.data(message("reload", 900, random.Random(1)))[1].decode().split()[-1]
        found = []

        def read():
            found[:] = [each["rule"] for each in figaro.trace(identifier) if each.get("rule")]
            return found

        wait_until(read, 30, "the refusal is in the trace")
        return found[0]

    assert rule() == "own"
    # An example that its rule does not read.
    rules.write_text(own.replace("[wurfel]", "[kugel]"))
    socket = figaro.spool / "control.sock"
    done = subprocess.run([binary(), "reload", "--socket", socket], capture_output=True, text=True, timeout=60)
    said = done.stdout + done.stderr
    assert done.returncode == 78 and "replies.yaml:6:" in said and "rules[0].examples[0]" in said, said
    figaro.process.signal(signal.SIGHUP)
    wait_until(lambda: "by=SIGHUP" in figaro.process.tail(5), 10, "the log has it")
    assert rule() == "own", "the rules in use stay"
    rules.write_text(own.replace("wurfel", "kugel"))
    figaro.process.signal(signal.SIGHUP)
    wait_until(lambda: "event=reloaded" in figaro.process.tail(2), 10, "it is reloaded")
    assert rule().startswith("base:"), "the new ones count"
