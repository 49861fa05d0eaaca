"""Figaro itself: its configuration written into a folder of the test, its process, and its commands."""

import json
import os
import pathlib
import subprocess

from servers.process import Failed, Process, free_port

root = pathlib.Path(__file__).resolve().parents[3]


def binary():
    """The release build; `FIGARO` in the environment names another one."""
    path = pathlib.Path(os.environ.get("FIGARO") or root / ".build/release/figaro")
    if not path.exists():
        raise Failed(f"no {path}: run `swift build -c release` first")
    return path


def range_of_254(ehlo="out-{4}.relay.example", network="127.77.0.0/24"):
    """A /24 of loopback, which Linux lets anyone bind without an interface entry."""
    base = network.rpartition(".")[0]
    return {"cidr": network, "exclude": [f"{base}.0", f"{base}.255"], "ehlo": ehlo}


class Figaro:
    """One relay. `start`, `kill` and `start` again work on the same spool."""

    def __init__(self, folder, sink_port=None, configuration=None, ipmap=None, domain="sink.example",
                 messages_per_session=20, budget=4, env=None, wrapper=()):
        """`configuration` goes over the defaults of a test, section by section; `ipmap` replaces the whole map."""
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.env, self.wrapper = env or {}, list(wrapper)
        self.spool = self.folder / "spool"
        self.config = self.folder / "figaro.yaml"
        self.process = None
        (self.folder / "ipmaps").mkdir(parents=True, exist_ok=True)
        self.write_ipmap(ipmap or {
            "ranges": {"loop": range_of_254()},
            "pools": {"main": {"members": ["loop"], "select": "random",
                               "messages_per_session": messages_per_session}},
            "routes": {"default": {"steps": [f"pool main/{budget}"]}},
            "sites": {domain: {"host": "127.0.0.1", "port": sink_port, "tls": "none"}} if sink_port else {},
        })
        self.settings = {
            "hostname": "relay.example",
            "spool": "spool",
            "listeners": [{"address": "127.0.0.1", "port": self.port, "tls": "none"}],
            "customers": {"acme": {"networks": ["127.0.0.0/8"]}},
            "limits": {}, "delivery": {}, "ipmaps": "ipmaps",
        }
        if sink_port:
            self.settings["delivery"]["allow"] = [f"127.0.0.0/8:{sink_port}"]
        for key, value in (configuration or {}).items():
            old = self.settings.get(key)
            self.settings[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        self.settings = {key: value for key, value in self.settings.items() if value != {}}
        self.write_configuration()

    def write_configuration(self):
        """JSON is YAML."""
        self.config.write_text(json.dumps(self.settings, indent=2))

    def write_ipmap(self, ipmap):
        ipmap = {key: value for key, value in ipmap.items() if value}
        (self.folder / "ipmaps" / "test.yaml").write_text(json.dumps(ipmap, indent=2))

    def start(self, seconds=30):
        self.process = Process(
            "figaro", [binary(), "serve", "--config", self.config], self.folder, env=self.env, wrapper=self.wrapper)
        for listener in self.settings["listeners"]:
            self.process.wait_for_port(listener["port"], listener["address"], seconds)
        # A port is taken before privileges are dropped; only one that answers belongs to a relay that has started.
        spoken = [each for each in self.settings["listeners"] if each.get("tls") != "implicit"]
        if spoken:
            self.process.wait_for_word(spoken[-1]["port"], spoken[-1]["address"], seconds)
        return self

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        self.process.kill()

    def stop(self):
        return self.process.stop() if self.process else None

    def command(self, *words, check=True, seconds=60):
        """What `figaro WORDS` prints, which takes so long at most; errors go with its standard error."""
        done = subprocess.run(
            [binary(), *map(str, words), "--config", self.config], capture_output=True, text=True,
            timeout=seconds)
        if check and done.returncode != 0:
            raise Failed(f"figaro {' '.join(map(str, words))}: {done.returncode}: {done.stderr}{done.stdout}")
        return done.stdout

    def trace(self, message):
        return [json.loads(line) for line in self.command("trace", message, "--json").splitlines() if line]
