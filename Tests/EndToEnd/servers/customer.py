"""A customer's Postfix that logs in at the relay: SASL over STARTTLS, as its guide says."""

import subprocess

from servers.postfix import Postfix


class LoggedIn(Postfix):
    """Sends all its mail through a relay of this machine as a user."""

    def __init__(self, folder, port, relay_port, user, password, settings=None):
        folder.mkdir(parents=True, exist_ok=True)
        passwords = folder / "passwords"
        passwords.write_text(f"[127.0.0.1]:{relay_port} {user}:{password}\n")
        subprocess.run(["/usr/sbin/postmap", f"hash:{passwords}"], check=True, timeout=20)
        super().__init__(folder, port, f"[127.0.0.1]:{relay_port}", {
            "smtp_tls_security_level": "encrypt", "smtp_tls_loglevel": "1",
            "smtp_sasl_auth_enable": "yes", "smtp_sasl_password_maps": f"hash:{passwords}",
            "smtp_sasl_security_options": "noanonymous", **(settings or {})})

    def log(self):
        path = self.folder / "mail.log"
        return path.read_text() if path.exists() else ""
