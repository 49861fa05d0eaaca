"""A customer's own mailserver: Postfix that takes mail for customer.example into mailboxes and sends all else on."""

import email
import email.policy
import os
import pathlib
import re

from servers.postfix import Postfix
from servers.process import wait_until

_owner = 5000
_delivered_to = re.compile(rb"^Delivered-To: ([^@\n]*)@customer\.example$", re.M)


class Mailserver(Postfix):
    """`mail(name)` is what came for that name; every one is there."""

    def __init__(self, folder, port, relay_port, settings=None):
        self.boxes = pathlib.Path(folder) / "boxes"
        self.boxes.mkdir(parents=True, exist_ok=True)
        os.chown(self.boxes, _owner, _owner)
        self._read = {}
        super().__init__(
            folder, port, f"[127.0.0.1]:{relay_port}",
            {"virtual_mailbox_domains": "customer.example", "virtual_mailbox_base": self.boxes,
             "virtual_mailbox_maps": "static:all/", "virtual_minimum_uid": "100",
             "virtual_uid_maps": f"static:{_owner}", "virtual_gid_maps": f"static:{_owner}",
             "virtual_mailbox_limit": "0", "maximal_backoff_time": "2s", "minimal_backoff_time": "1s",
             "queue_run_delay": "2s", **(settings or {})},
            services="virtual unix - n n - - virtual\n")

    def raw(self, name):
        """The octets of each message that came for that name, in order."""
        for path in (self.boxes / "all" / "new").glob("*"):
            if path.name not in self._read:
                content = path.read_bytes()
                owner = _delivered_to.search(content).group(1).decode()
                self._read[path.name] = path.stat().st_mtime_ns, owner, content
        return [content for _, owner, content in sorted(self._read.values()) if owner == name]

    def mail(self, name):
        return [email.message_from_bytes(each, policy=email.policy.default) for each in self.raw(name)]

    def wait(self, name, count, seconds):
        """The mail for a name when there is that much; one too many is an error."""
        wait_until(lambda: len(self.raw(name)) >= count, seconds, f"{count} messages for {name}", 0.1)
        found = self.mail(name)
        assert len(found) == count, f"{len(found)} messages for {name}, not {count}"
        return found
