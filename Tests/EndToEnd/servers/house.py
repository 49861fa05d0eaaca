"""A customer's machine of its own: its servers see their own /etc/hosts, their own certificates and their own /var.

A mount namespace (unshare) below the test's own; what is mounted there is gone with the last process in it.
"""

import pathlib


class House:
    def __init__(self, folder, hosts=(), authorities=None):
        """`hosts`: (address, name) of those that are known; `authorities`: a file of certificates that are trusted."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._steps = []
        known = self.folder / "hosts"
        known.write_text("127.0.0.1 localhost\n" + "".join(f"{address} {name}\n" for address, name in hosts))
        self.show(known, "/etc/hosts")
        if authorities:
            self.show(authorities, "/etc/ssl/certs/ca-certificates.crt")

    def show(self, path, place):
        """Shows a file or folder at a place that exists."""
        self._steps.append(f"mount --bind '{path}' '{place}'")

    def empty(self, place, *folders, size="64m", mode="0755"):
        """An empty folder in memory at a place that exists, with folders in it."""
        self._steps.append(f"mount -t tmpfs -o size={size},mode={mode} tmpfs '{place}'")
        self._steps += [f"mkdir -p '{place}/{folder}'" for folder in folders]

    @property
    def wrapper(self):
        """What stands before a command that is to live here."""
        return ["unshare", "-m", "sh", "-c", " && ".join([*self._steps, 'exec "$@"']), "sh"]
