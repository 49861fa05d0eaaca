"""What one comparison is about: the load, and what is asked of whoever relays it."""

import dataclasses

domain = "sink.example"
zone = "many.example"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    about: str = ""
    size: int = 4096  # octets of content without its header
    sessions: int = 20  # of the source, at the same time
    kept: bool = True  # the source sends message after message over each; else a connection a message
    tools: str = "postfix"  # smtp-source and smtp-sink, or `own`: ops/bench/load
    tls_in: bool = False
    tls_out: bool = False
    domains: int = 1  # of the recipients, drawn at random; more than one come from a real DNS
    own_hosts: bool = False  # each domain has a mail host of its own; else one provider has them all
    messages_per_session: int = 20  # that the relay sends over a connection
    fsync_delay: int = 0  # microseconds that each fsync takes longer
    messages: int = 20_000  # of a run of Figaro and of the bare wire
    postfix_messages: int = 5_000

    def count(self, name):
        """Messages of a run of one contestant."""
        return self.postfix_messages if name.startswith("postfix") else self.messages

    @property
    def load(self):
        """The load in words, as it is run."""
        if self.tools == "postfix":
            return f"smtp-source {'-d ' if self.kept else ''}-s {self.sessions} -l {self.size}"
        words = ["load source", f"--sessions {self.sessions}", f"--size {self.size}"]
        words += [] if self.kept else ["--per-session 1"]
        words += [f"--domains {self.domains}"] if self.domains > 1 else []
        return " ".join(words + (["--tls starttls"] if self.tls_in else []))
