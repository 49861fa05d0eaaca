"""Debian's Postfix from its own binaries, with configuration, queue and data in a folder of the test."""

import grp
import os
import pathlib
import pwd
import subprocess

from servers.process import Failed, Process, wait_until

_daemons = "/usr/lib/postfix/sbin"

_queue_folders = {
    "postfix": ["active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved",
                "trace"],
    "root": ["pid"],
}

_main = {
    "compatibility_level": "3.6",
    "command_directory": "/usr/sbin",
    "daemon_directory": _daemons,
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
    "myhostname": "customer.example",
    "mydestination": "",
    "local_recipient_maps": "",
    "local_transport": "error:no local mail here",
    "alias_maps": "",
    "alias_database": "",
    "mynetworks": "127.0.0.0/8",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
    "smtpd_peername_lookup": "no",
    "disable_dns_lookups": "yes",
    "smtp_tls_security_level": "none",
    "smtp_host_lookup": "native",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "smtpd_error_sleep_time": "0",
    "in_flow_delay": "0",
    "message_size_limit": "50000000",
    "mailbox_size_limit": "0",
    "biff": "no",
}

# service type private unpriv chroot wakeup maxproc command
_master = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """One instance. Must be started as root, as Postfix demands."""

    def __init__(self, folder, port, relayhost, settings=None, services="", log=True, wrapper=(),
                 env=None):
        """`settings` go over the ones above; `services` are added to master.cf; `wrapper` stands before the command."""
        self.folder = pathlib.Path(folder)
        self.port = port
        self.config, self.queue, data = (self.folder / name for name in ("conf", "queue", "data"))
        self._make_folders(data)
        main = {**_main, "queue_directory": self.queue, "data_directory": data, "relayhost": relayhost}
        if log:
            main |= {"maillog_file": self.folder / "mail.log", "maillog_file_prefixes": self.folder}
        main |= settings or {}
        (self.config / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in main.items()))
        (self.config / "master.cf").write_text(_master.format(port=port) + services)
        self.process = Process(
            "postfix", [f"{_daemons}/master", "-c", self.config, "-d"], self.folder, env=env, wrapper=wrapper)
        self.process.wait_for_port(port)

    def _make_folders(self, data):
        if os.geteuid() != 0:
            raise Failed("Postfix must be started as root")
        owner = pwd.getpwnam("postfix")
        drop = owner.pw_uid, grp.getgrnam("postdrop").gr_gid
        for folder in (self.config, self.queue, data):
            folder.mkdir(parents=True, exist_ok=True)
        os.chown(data, owner.pw_uid, owner.pw_gid)
        for who, names in _queue_folders.items():
            for name in names:
                (self.queue / name).mkdir(mode=0o700, exist_ok=True)
                if who == "postfix":
                    os.chown(self.queue / name, owner.pw_uid, owner.pw_gid)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            (self.queue / name).mkdir(exist_ok=True)
            os.chown(self.queue / name, *drop)
            (self.queue / name).chmod(mode)

    def queued(self):
        """Number of messages that have not left it yet."""
        return sum(
            len(files) for name in ("maildrop", "incoming", "active", "deferred", "hold")
            for _, _, files in os.walk(self.queue / name))

    def flush(self):
        """Tries everything that waits again, now."""
        subprocess.run(["/usr/sbin/postqueue", "-c", self.config, "-f"], check=True, timeout=30)

    def wait_empty(self, seconds):
        wait_until(lambda: self.queued() == 0, seconds, "the customer's queue is empty", 0.1)

    def stop(self):
        self.process.stop()
