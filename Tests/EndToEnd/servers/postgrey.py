"""Debian's postgrey, with its memory in a folder of the test; the policy service of a Postfix."""

import pathlib
import shutil

from servers.process import Process, free_port


class Postgrey:
    def __init__(self, folder, *options, delay=5):
        folder = pathlib.Path(folder)
        (folder / "db").mkdir(parents=True, exist_ok=True)
        shutil.chown(folder / "db", "postgrey", "postgrey")
        (folder / "none").write_text("")
        self.port = free_port()
        self.process = Process("postgrey", [
            "/usr/sbin/postgrey", f"--inet=127.0.0.1:{self.port}", f"--dbdir={folder / 'db'}", f"--delay={delay}",
            f"--whitelist-clients={folder / 'none'}", f"--whitelist-recipients={folder / 'none'}",
            "--greylist-text=Greylisted, please try again in %s seconds", *options], folder)
        self.process.wait_for_port(self.port)

    def stop(self):
        self.process.stop()
