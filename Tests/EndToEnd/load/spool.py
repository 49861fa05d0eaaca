"""Filling a spool with deferred messages through the relay's own store (Tests/SpoolFiller)."""

import contextlib
import os
import pathlib
import sqlite3
import subprocess

from servers.figaro import root
from servers.process import Failed


def filler():
    """The release build; `SPOOL_FILLER` in the environment names another one."""
    path = pathlib.Path(os.environ.get("SPOOL_FILLER") or root / ".build/release/SpoolFiller")
    if not path.exists():
        raise Failed(f"no {path}: run `swift build -c release --product SpoolFiller` first")
    return path


def patience(messages):
    """Seconds that something with so many messages may take before it is taken for stuck: 200 a second, on any disk."""
    return 60 + messages / 200


def fill(spool, messages, domains, suffix, due=(7_200, 21_600), prefix="d", customer="acme", size=4096, postponed=False,
         seconds=None):
    """Adds a group of messages, due between two times in seconds from now on; `postponed`: their domains are, too."""
    done = subprocess.run(
        [filler(), "--spool", str(spool), "--messages", str(messages), "--domains", str(min(domains, messages)),
         "--suffix", suffix, "--prefix", prefix, "--customer", customer, "--size", str(size),
         f"--due-from={due[0]}", f"--due-to={due[1]}", *(["--postponed"] if postponed else [])],
        capture_output=True, text=True, timeout=seconds or patience(messages))
    if done.returncode != 0:
        raise Failed(f"SpoolFiller: {done.returncode}: {done.stderr.strip()[:500]}")


def shape(spool):
    """What a spool's queue looks like: rows and average octets of each table and index."""
    with contextlib.closing(sqlite3.connect(pathlib.Path(spool) / "queue.sqlite")) as database:
        counts = {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                  for table in ("message", "waiting", "agenda", "untold")}
        octets = {
            "envelope": "SELECT avg(length(envelope)) FROM message",
            "content": "SELECT avg(length(content)) FROM message",
            "recipients": "SELECT avg(length(recipients)) FROM waiting",
            "progress": "SELECT avg(length(progress)) FROM waiting",
            "domain": "SELECT avg(length(domain)) FROM waiting",
        }
        return counts, {name: database.execute(sql).fetchone()[0] or 0 for name, sql in octets.items()}
