"""The guide for customers, as it is written: its lines are taken out of it and given to the real servers."""

import pathlib
import re
import shutil
import signal
import smtplib
import subprocess

import pytest

from servers.driver import certificate
from servers.figaro import Figaro, root
from servers.house import House
from servers.opensmtpd import OpenSMTPD
from servers.postfix import Postfix
from servers.process import Process, free_port, wait_until
from servers.receiver import Receiver

guide = root / "Sources/Figaro/Figaro.docc/Guides/Customers.md"
address = "127.66.0.1"
exim = "/opt/figaro-dev/usr/sbin/exim4"


def blocks(heading):
    """The code of a section of the guide, block by block."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", guide.read_text(), re.M | re.S).group(1)
    return [block.strip("\n") for block in re.findall(r"^```\w*\n(.*?)^```$", section, re.M | re.S)]


@pytest.fixture
def relay(folder, started):
    """Figaro as the guide assumes it: relay.example, port 25, STARTTLS, a certificate that customers trust."""
    receiver = started(Receiver(folder / "receiver"))
    chain, key = certificate(folder, "relay.example")
    figaro = started(Figaro(folder / "figaro", receiver.port, configuration={
        "listeners": [{"address": address, "port": 25, "tls": "starttls"}],
        "tls": {"certificates": [{"certificate": str(chain), "key": str(key)}]}}))
    figaro.start()
    return figaro, receiver, House(folder / "customer", [(address, "relay.example")], chain)


def check(relay, port, prefix):
    """Ten messages go through the customer's server and arrive, each of them over TLS and from Figaro's addresses."""
    figaro, receiver, _ = relay
    with smtplib.SMTP("127.0.0.1", port, "desk.customer.example", timeout=20) as client:
        for number in range(10):
            client.sendmail("author@customer.example", [f"reader{number}@sink.example"],
                            f"From: author@customer.example\r\nSubject: x\r\nX-Test-ID: {prefix}{number}\r\n\r\nhi\r\n")
    wanted = {f"{prefix}{number}" for number in range(10)}
    wait_until(lambda: wanted <= set(receiver.record.by_id()), 30, "all of it arrives", 0.1)
    accepted = [line for line in figaro.process.output.read_text().splitlines() if "event=accepted" in line]
    assert len(accepted) == 10 and all("tls=" in line for line in accepted), accepted


def test_postfix_as_the_guide_has_it(relay, folder, started):
    commands = "\n".join(blocks("Postfix"))
    assert "postconf -e 'relayhost" in commands
    house, port = relay[2], free_port()
    prepared = Postfix(folder / "postfix", port, "", {"smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt"})
    prepared.stop()
    # The guide's own commands; only the instance is the test's, and what reloads it is its start.
    words = re.sub(r"^postconf -e", f"postconf -c {prepared.config} -e", commands, flags=re.M)
    words = re.sub(r"^postfix reload.*$", "true", words, flags=re.M)
    done = subprocess.run(["sh", "-euc", words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text = (prepared.config / "main.cf").read_text()
    assert "[relay.example]:25" in text and re.search(r"smtp_tls_security_level *= *encrypt", text)
    server = started(Process("postfix-customer", ["/usr/lib/postfix/sbin/master", "-c", prepared.config, "-d"],
                             folder / "postfix", wrapper=house.wrapper))
    server.wait_for_port(port)
    check(relay, port, "pf")


def test_exim_as_the_guide_has_it(relay, folder, started):
    router, transport = next(each for each in blocks("Exim") if "smarthost:" in each).split("\n\n")
    house, port = relay[2], free_port()
    for name in ("spool", "log"):
        (house.folder / name).mkdir()
        shutil.chown(house.folder / name, "Debian-exim", "Debian-exim")
    config = house.folder / "exim.conf"
    config.write_text(f"""\
primary_hostname = exim.customer.example
exim_path = {exim}
spool_directory = {house.folder}/spool
log_file_path = {house.folder}/log/%slog
pid_file_path = {house.folder}/spool/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
tls_advertise_hosts =
host_lookup =
domainlist local_domains = @
acl_smtp_rcpt = accept
acl_smtp_data = accept
begin routers
{router}
begin transports
{transport}
begin retry
* * F,10m,1s
""")
    server = started(Process("exim", [exim, "-bdf", "-q2s", "-C", config], house.folder, wrapper=house.wrapper))
    server.wait_for_port(port)
    check(relay, port, "ex")


def test_opensmtpd_as_the_guide_has_it(relay, folder, started):
    house, port = relay[2], free_port()
    started(OpenSMTPD(house, port, blocks("OpenSMTPD")[0]))
    check(relay, port, "os")


def test_who_is_no_customer_is_told_what_the_guide_says(relay, folder):
    figaro = relay[0]
    assert figaro.stop() == 0
    figaro.settings["customers"] = {"acme": {"networks": ["127.55.0.0/16"]}}
    figaro.write_configuration()
    figaro.start()
    command = blocks("Is it right\\?")[0].replace("relay.example", address)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert "550 5.7.1 Relay access denied" in done.stdout, done.stdout + done.stderr
    assert "550 5.7.1 Relay access denied" in guide.read_text()
    wait_until(lambda: "127.0.0.1" in figaro.process.tail(5), 10, "the log names the address")


def test_what_cannot_be_run_here_is_marked_as_such():
    """Exchange is nobody's to download: the guide says that its lines are from the manufacturer's documentation."""
    section = guide.read_text().partition("## Exchange")[2].partition("\n## ")[0]
    assert "not been run" in section and "https://learn.microsoft.com/" in section
    assert pathlib.Path(guide).exists()


def test_a_certificate_that_somebody_renewed_is_shown_after_sighup(relay, folder):
    """As certbot does it: new files under the old names, then `systemctl reload`, which is SIGHUP."""
    figaro = relay[0]

    def shown():
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{address}:25", "-starttls", "smtp", "-servername", "relay.example"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        return done.stdout.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0].strip()

    def body(path):
        return path.read_text().partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0].strip()

    chain = folder / "certificate.pem"
    old = body(chain)
    assert shown() == old
    (folder / "renewed").mkdir()
    for renewed, place in zip(certificate(folder / "renewed", "relay.example"), (chain, folder / "key.pem")):
        renewed.rename(place)
    assert shown() == old, "until it is told"
    figaro.process.signal(signal.SIGHUP)
    wait_until(lambda: shown() == body(chain), 20, "the new one is shown", 0.2)
    assert body(chain) != old
    # A renewal that went wrong leaves the good one in use.
    good = body(chain)
    chain.write_text("not a certificate\n")
    figaro.process.signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded" in figaro.process.tail(10), 20, "the log says so")
    assert shown() == good
