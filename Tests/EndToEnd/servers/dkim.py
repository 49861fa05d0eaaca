"""Two verifiers that are not ours: dkimpy, and OpenDKIM with a name server of its own."""

import pathlib
import subprocess

import dkim

from servers.process import Failed

_script = r"""
set -eu
ip link set lo up 2>/dev/null || true
/usr/sbin/unbound -c "$1/unbound.conf"
trap 'kill "$(cat "$1/unbound.pid")" 2>/dev/null || true' EXIT
mount --bind "$1/resolv.conf" /etc/resolv.conf
for message in "$1"/*.eml; do
    if said=$(/usr/sbin/opendkim-testmsg -t "$1" < "$message" 2>&1) && [ -z "$said" ]; then
        echo "$message pass"
    else
        echo "$message $said"
    fi
done
"""

_configuration = """\
server:
  interface: 127.0.0.1@53
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: "{folder}/unbound.pid"
  use-syslog: no
  logfile: "{folder}/unbound.log"
  module-config: "iterator"
{zones}
{data}
remote-control:
  control-enable: no
"""


def records(lines):
    """What `figaro dkim dns` printed, as a dictionary of name and text."""
    found = {}
    for line in lines.splitlines():
        name, _, text = line.partition(". 3600 IN TXT ( ")
        found[name] = "".join(part for part in text.rpartition(" )")[0].split('"') if part.strip())
    return found


def dkimpy(content, texts):
    """Which of the signatures, from the top, are good."""
    find = lambda name, timeout=5: texts.get(name.decode().rstrip("."), "").encode() or None
    count = (b"\r\n" + content.partition(b"\r\n\r\n")[0]).lower().count(b"\r\ndkim-signature:")
    return [verdict(dkim.DKIM(content), index, find) for index in range(count)]


def verdict(message, index, find):
    try:
        return message.verify(index, dnsfunc=find)
    except dkim.DKIMException:
        return False


def opendkim(folder, contents, texts):
    """What OpenDKIM has against each of them; an empty text for nothing."""
    folder = pathlib.Path(folder)
    folder.mkdir()
    zones = {name.partition("._domainkey.")[2] for name in texts}
    parts = lambda text: " ".join(f'"{text[at:at + 200]}"' for at in range(0, len(text), 200))
    (folder / "unbound.conf").write_text(_configuration.format(
        folder=folder, zones="\n".join(f'  local-zone: "{zone}." static' for zone in zones),
        data="\n".join(f"  local-data: '{name}. 60 IN TXT {parts(text)}'" for name, text in texts.items())))
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    for number, content in enumerate(contents):
        (folder / f"{number:03}.eml").write_bytes(content)
    done = subprocess.run(["unshare", "-rmn", "sh", "-c", _script, "verify", folder], capture_output=True, text=True,
                          timeout=120)
    said = [line.split(" ", 1)[1] for line in done.stdout.splitlines() if ".eml " in line]
    if len(said) != len(contents):
        raise Failed(f"opendkim-testmsg: {done.returncode} {done.stdout}{done.stderr}")
    return ["" if each == "pass" else each for each in said]
