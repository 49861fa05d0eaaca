"""`ops/run --demo`: what it says must be true, since it is the first thing that a newcomer sees."""

import pathlib
import re
import subprocess

from servers.figaro import binary

demo = pathlib.Path(__file__).resolve().parents[2] / "ops/demo/demo"


def test_the_logs_of_both_sides_agree():
    done = subprocess.run(["/usr/bin/python3", "-B", demo, "--messages", "100", "--binary", binary()],
                          capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {line.split()[0]: [int(each) for each in line.split()[1:5]]
            for line in done.stdout.splitlines() if re.match(r"^([a-z]+mail|friendly) +\d", line)}
    assert set(rows) == {"friendly", "bigmail", "greymail", "slowmail", "deadmail"}
    for name, (sent, taken, _, sources) in rows.items():
        assert sent == 20 and (taken == 0 if name == "deadmail" else taken >= 15), (name, rows)
        assert name == "deadmail" or sources >= taken - 4, "a session a message is drawn from 254"
    assert rows["bigmail"][2] > 0 and rows["greymail"][2] >= 15, "they refused, and it was overcome"
    assert "another source: the refusal is about our address" in done.stdout, "a trace tells the story"
    assert len(done.stdout.splitlines()) < 70, "a screen, not a flood"
