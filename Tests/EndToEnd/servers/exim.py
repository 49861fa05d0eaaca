"""Debian's Exim, unpacked beside the system (it conflicts with Postfix), as a second kind of customer."""

import os
import pathlib
import shutil

from servers.process import Failed, Process, wait_until

_binary = "/opt/figaro-dev/usr/sbin/exim4"

_configuration = """\
primary_hostname = exim.customer.example
exim_path = {binary}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/spool/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
deliver_drop_privilege = true
tls_advertise_hosts =
chunking_advertise_hosts =
host_lookup =
rfc1413_hosts =
message_size_limit = 60M
smtp_accept_max = 100
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = false
recipients_max = 1000
remote_max_parallel = 20
queue_run_max = 20
acl_smtp_rcpt = accept
acl_smtp_data = accept
begin routers
onward:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = onward
begin transports
onward:
  driver = smtp
  port = {onward}
  allow_localhost
  hosts_avoid_tls = *
  hosts_try_chunking = {chunking}
begin retry
* * F,10m,1s
"""


class Exim:
    """Hands everything to a port of this machine. Must be started as root, as Exim demands."""

    def __init__(self, folder, port, onward, chunking=False):
        if os.geteuid() != 0:
            raise Failed("Exim must be started as root")
        self.folder = pathlib.Path(folder)
        self.port = port
        for name in ("spool", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
            shutil.chown(self.folder / name, "Debian-exim", "Debian-exim")
        config = self.folder / "exim.conf"
        config.write_text(_configuration.format(
            folder=self.folder, port=port, onward=onward, binary=_binary, chunking="*" if chunking else ""))
        self.process = Process("exim", [_binary, "-bdf", "-q2s", "-C", config], self.folder)
        self.process.wait_for_port(port)

    def queued(self):
        """Number of messages that have not left it yet."""
        folder = self.folder / "spool" / "input"
        return sum(1 for _, _, files in os.walk(folder) for file in files if file.endswith("-H"))

    def wait_empty(self, seconds):
        wait_until(lambda: self.queued() == 0, seconds, "the customer's queue is empty", 0.1)

    def stop(self):
        self.process.stop()
