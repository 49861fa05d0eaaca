"""Debian's Postfix as the relay of last resort: STARTTLS, and AUTH for one user (Cyrus SASL, a file of passwords)."""

import subprocess

from servers.postfix import Postfix
from servers.process import free_port

# Key and value as libsasl's own sasldb has them: user, realm and property, each but the last ended by a zero octet.
_keep_password = """\
use DB_File; use Fcntl;
my ($file, $user, $realm, $password) = @ARGV;
tie(my %secrets, "DB_File", $file, O_RDWR | O_CREAT, 0640, $DB_HASH) or die "$file: $!";
$secrets{"$user\\0$realm\\0userPassword"} = $password;
"""


class Smarthost(Postfix):
    """Takes mail from who has authenticated alone, and hands it on to a port of this machine. AUTH is offered before
    TLS too, so that a client that is careless with its password would be seen to be."""

    name = "smtp.provider.example"

    def __init__(self, folder, onward, chain, key, port=None, user="figaro", password="s3cret", settings=None,
                 services=""):
        sasl = folder / "conf/sasl"  # where Debian's Postfix looks, below its own configuration
        sasl.mkdir(parents=True)
        self.secrets = sasl / "secrets.db"
        self.user = user
        self.keep(password)
        (sasl / "smtpd.conf").write_text(
            "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"
            f"sasldb_path: {self.secrets}\n")
        super().__init__(folder, port or free_port(), f"[127.0.0.1]:{onward}", {
            "myhostname": self.name, "smtpd_tls_cert_file": chain, "smtpd_tls_key_file": key,
            "smtpd_tls_security_level": "may", "smtpd_tls_auth_only": "no", "smtpd_tls_received_header": "yes",
            "smtpd_tls_loglevel": "1", "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "cyrus",
            "smtpd_sasl_path": "smtpd", "smtpd_sasl_local_domain": self.name,
            "smtpd_sasl_authenticated_header": "yes",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject", **(settings or {})}, services)

    def keep(self, password):
        """The password of its one user from now on."""
        subprocess.run(["perl", "-e", _keep_password, self.secrets, self.user, self.name, password],
                       check=True, timeout=20)
        self.secrets.chmod(0o644)

    def log(self):
        path = self.folder / "mail.log"
        return path.read_text() if path.exists() else ""
