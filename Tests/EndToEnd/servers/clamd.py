"""Debian's clamd in a folder of the test, with one signature: the EICAR test file's. No freshclam, no network."""

import pathlib

from servers.process import Process, free_port

# In hexadecimal, so that no scanner takes this file for the test file itself.
eicar = bytes.fromhex(
    "58354f2150254041505b345c505a58353428505e2937434329377d24454943415" "2"
    "2d5354414e444152442d414e544956495255532d544553542d46494c452124482b482a")

_configuration = """
TCPAddr 127.0.0.1
TCPSocket {port}
LocalSocket {folder}/clamd.sock
DatabaseDirectory {folder}/signatures
PidFile {folder}/clamd.pid
LogFile {folder}/clamd.log
TemporaryDirectory {folder}/tmp
Foreground yes
OfficialDatabaseOnly no
MaxThreads 4
MaxConnectionQueueLength 30
AlertExceedsMax {alert}
MaxRecursion {recursion}
MaxFileSize {size}
MaxScanSize {size}
StreamMaxLength {stream}
SelfCheck 0
"""


class Clamd:
    def __init__(self, folder, size="20M", stream="25M", recursion=17, alert="yes"):
        self.folder = pathlib.Path(folder)
        for name in ("signatures", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        # Type 0 is any file: the pattern is found wherever it lies, once what it is packed into was unpacked.
        (self.folder / "signatures" / "test.ndb").write_text(f"Test.EICAR:0:*:{eicar.hex()}\n")
        self.port = free_port()
        self.config = self.folder / "clamd.conf"
        self.config.write_text(_configuration.format(
            folder=self.folder, port=self.port, size=size, stream=stream, recursion=recursion, alert=alert))
        self.process = None
        self.start()

    def start(self):
        self.process = Process("clamd", ["/usr/sbin/clamd", "-F", "-c", self.config], self.folder)
        self.process.wait_for_port(self.port, seconds=60)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def socket(self):
        return self.folder / "clamd.sock"

    def stop(self):
        self.process.stop()
