"""What a receiver or a recording proxy saw: one line of JSON an event, and the exact content of every message."""

import hashlib
import json
import pathlib
import re
import time

_identifier = re.compile(rb"^X-Test-ID: *([^\r\n]+)\r?$", re.M | re.I)


def identifier(content):
    """The value of X-Test-ID, which every message of a test has in its header; None without it."""
    found = _identifier.search(content[:65536])
    return found.group(1).decode("latin-1").strip() if found else None


def unstuffed(lines):
    """Content as it was before dot-stuffing (RFC 5321 section 4.5.2); `lines` end before the final dot."""
    return (b"\r\n" + lines).replace(b"\r\n.", b"\r\n")[2:]


class Recorder:
    """Writes; used by one process."""

    def __init__(self, folder, keep_content=True):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.index = open(folder / "index", "a", buffering=1)
        self.content = open(folder / "content", "ab") if keep_content else None

    def event(self, kind, **fields):
        self.index.write(json.dumps({"kind": kind, "time": time.time(), **fields}) + "\n")

    def message(self, content, **fields):
        """Content first, index after it: what the index names is there."""
        offset = None
        if self.content:
            offset = self.content.tell()
            self.content.write(content)
            self.content.flush()
        self.event("message", id=identifier(content), size=len(content), offset=offset,
                   sha256=hashlib.sha256(content).hexdigest(), **fields)


class Record:
    """Reads what a `Recorder` of another process has written, as it grows."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.events = []
        self._read = 0
        self._rest = ""

    def refresh(self):
        """Takes in what is new; returns all events so far."""
        path = self.folder / "index"
        if path.exists():
            with open(path) as index:
                index.seek(self._read)
                text = index.read()
                self._read = index.tell()
            *lines, self._rest = (self._rest + text).split("\n")
            self.events.extend(json.loads(line) for line in lines)
        return self.events

    def messages(self):
        return [event for event in self.refresh() if event["kind"] == "message"]

    def by_id(self):
        """Messages by their X-Test-ID: a list for each, in the order in which they came."""
        found = {}
        for message in self.messages():
            found.setdefault(message["id"], []).append(message)
        return found

    def content(self, message):
        with open(self.folder / "content", "rb") as content:
            content.seek(message["offset"])
            return content.read(message["size"])
