"""Debian's OpenSMTPD, unpacked beside the system (it conflicts with Postfix), as a third kind of customer."""

import os
import pathlib

from servers.process import Failed, Process, wait_until

_binary = "/opt/figaro-dev/usr/sbin/smtpd"


class OpenSMTPD:
    """Its folders are fixed when it is compiled, so that it needs a house of its own."""

    def __init__(self, house, port, lines):
        """`lines` are those of its configuration that say where mail goes."""
        if os.geteuid() != 0:
            raise Failed("OpenSMTPD must be started as root")
        self.folder = pathlib.Path(house.folder)
        config = self.folder / "smtpd.conf"
        config.write_text(f"listen on 127.0.0.1 port {port} hostname opensmtpd.customer.example\n{lines}\n")
        house.empty("/var/spool")
        house.empty("/run")
        house.empty("/var/lib", "opensmtpd/empty")
        self.process = Process("smtpd", [_binary, "-d", "-f", config], self.folder, wrapper=house.wrapper)
        self.process.wait_for_port(port)

    def delivered(self):
        """How many times it wrote down that a message was handed on."""
        return self.process.output.read_text(errors="replace").count("result=\"Ok\"")

    def wait_delivered(self, count, seconds):
        wait_until(lambda: self.delivered() >= count, seconds, f"{count} messages handed on by OpenSMTPD", 0.1)

    def stop(self):
        self.process.stop()
