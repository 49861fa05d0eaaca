"""unbound with a zone of the test: real DNS, and nothing of it leaves the machine."""

import pathlib
import socket

from servers.process import Process, free_port, wait_until

_configuration = """\
server:
  interface: {address}@{port}
  access-control: 127.0.0.0/8 allow
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "{zone}." static
  local-data: "{zone}. 60 IN SOA ns.{zone}. root.{zone}. 1 60 60 60 60"
{data}
forward-zone:
  name: "broken.{zone}."
  forward-addr: 127.0.0.1@{dead}
remote-control:
  control-enable: no
"""


class Unbound:
    """Answers for one zone; below `broken.ZONE` every answer is SERVFAIL."""

    def __init__(self, folder, zone, records, place=None, below=None, ttl=300, pointers=None):
        """Each of `records` is `name type data`, its name within the zone, `@` for the zone itself. `place` is its
        address and port; a free port of 127.0.0.1 unless it is given. `below` maps names within the zone to addresses:
        whatever stands below such a name has that address, `ttl` seconds long. `pointers` maps addresses of loopback
        to the names that their PTR records have, a list each; of 192.0.2.0/24 as well."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.address, self.port = place or ("127.0.0.1", free_port(kind=socket.SOCK_DGRAM))
        data = "".join(f"  local-data: '{self.absolute(record, zone)}'\n" for record in records)
        data += f'  local-zone: "broken.{zone}." transparent\n'
        for name, address in (below or {}).items():
            data += f'  local-zone: "{name}.{zone}." redirect\n'
            data += f'  local-data: "{name}.{zone}. {ttl} IN A {address}"\n'
        for each in ("127", "2.0.192") if pointers else ():
            data += f'  local-zone: "{each}.in-addr.arpa." static\n'
        for address, names in (pointers or {}).items():
            reverse = ".".join(reversed(address.split(".")))
            data += "".join(f'  local-data: "{reverse}.in-addr.arpa. 60 IN PTR {name}."\n' for name in names)
        (folder / "unbound.conf").write_text(_configuration.format(
            address=self.address, port=self.port, folder=folder, zone=zone, data=data.rstrip(), dead=free_port()))
        self.process = Process("unbound", ["/usr/sbin/unbound", "-d", "-c", folder / "unbound.conf"], folder)
        wait_until(lambda: self.answers(zone), 20, "unbound answers")

    @staticmethod
    def absolute(record, zone):
        name, kind, value = record.split(" ", 2)
        return f"{zone if name == '@' else name + '.' + zone}. 60 IN {kind} {value}"

    def answers(self, zone):
        """Asks for the zone's SOA by hand: a header with one question, and any answer will do."""
        question = b"".join(bytes([len(label)]) + label.encode() for label in zone.split(".")) + b"\0\0\6\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            try:
                client.sendto(b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + question, (self.address, self.port))
                return client.recv(512)[:2] == b"\x12\x34"
            except OSError:
                return False

    def stop(self):
        self.process.stop()
