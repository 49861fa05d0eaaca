"""What goes out is signed, and others find the signatures good; what a customer signed stays good."""

import json
import re
import smtplib
import socket
import subprocess

import dkim

from servers.dkim import dkimpy, opendkim, records
from servers.figaro import Figaro, binary
from servers.process import free_port, wait_until
from servers.provider import Provider, Watch
from servers.unbound import Unbound

head = (b"From: Ann <author@customer.example>\r\nTo: <reader@friendly.example>\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\n"
        b" and  more\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%b@customer.example>\r\n")

bodies = {
    "empty": b"", "line": b"Hi.\r\n", "ends": b"Hi.\r\n\r\n\r\n\r\n", "only-ends": b"\r\n\r\n\r\n",
    "spaces": b"one  two \t\r\n \r\nthree\t \r\n   \r\n", "dots": b".\r\n..two\r\n...\r\n.dot\r\n",
    "eight-bit": "Grüße, schöne Grüße\r\n".encode(), "long": b"x" * 998 + b"\r\n",
    "large": b"A line of a large message,  with spaces. \r\n" * 4_000, "large-ends": b"y" * 70 + b"\r\n" * 60_000,
    "just-over": b"z" * 62 + b"\r\n" * 1_100 + b"and the end of it \r\n" * 2_500,
}


def relay(folder, started, algorithm="rsa", configuration=None, domain="customer.example", **more):
    watch = started(Watch(Provider("127.66.4.1")))
    provider = watch.providers[0]
    figaro = started(Figaro(folder / "figaro", ipmap={
        "ranges": {"loop": {"cidr": "127.77.0.8/29", "ehlo": "out-{4}.relay.example"}},
        "pools": {"main": {"members": ["loop"]}}, "routes": {"default": {"steps": ["pool main/4"]}},
        "sites": {provider.domain: {"host": provider.address, "port": provider.port, "tls": "none"}}}, configuration={
            "delivery": {"allow": [f"{provider.address}/32:{provider.port}"]}, "dkim": {"folder": "keys", **more},
            **(configuration or {})}))
    if algorithm:
        figaro.command("dkim", "add", domain, "--algorithm", algorithm, "--selector", "s1")
    return figaro.start(), provider


def send(figaro, *contents, chunks=False):
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=30) as client:
        client.ehlo()
        for content in contents:
            assert client.mail("author@customer.example", ["BODY=8BITMIME"])[0] == 250
            assert client.rcpt("reader@friendly.example")[0] == 250
            if chunks:
                half = len(content) // 2
                client.send(b"BDAT %d\r\n" % half + content[:half])
                assert client.getreply()[0] == 250
                client.send(b"BDAT %d LAST\r\n" % (len(content) - half) + content[half:])
                code, answer = client.getreply()
            else:
                code, answer = client.data(content)
            assert code == 250, answer


def taken(provider, count):
    """What arrived, by Message-ID, as it was before its lines were sent."""
    wait_until(lambda: len(provider.messages) >= count, 40, "all arrive")
    found = {}
    for _, wire in list(provider.messages):
        content = re.sub(rb"(?m)^\.", b"", wire[:-3])
        found[re.search(rb"(?i)^message-id: <([^@]+)@", content, re.M)[1].decode()] = content
    assert len(found) == count
    return found


def test_every_body_is_signed_so_that_others_find_it_good(folder, started):
    figaro, provider = relay(folder, started)
    send(figaro, *(head % name.encode() + b"\r\n" + body for name, body in bodies.items()))
    send(figaro, *(head % f"b-{name}".encode() + b"\r\n" + body for name, body in bodies.items()), chunks=True)
    found = taken(provider, 2 * len(bodies))
    texts = records(figaro.command("dkim", "dns"))
    assert list(texts) == ["s1._domainkey.customer.example"] and texts["s1._domainkey.customer.example"].startswith(
        "v=DKIM1; k=rsa; p=")
    assert {name: dkimpy(content, texts) for name, content in found.items()} == dict.fromkeys(found, [True])
    assert dict(zip(found, opendkim(folder / "opendkim", found.values(), texts))) == dict.fromkeys(found, "")
    spoiled = [content.replace(b"Subject:", b"Subject: not", 1) for content in found.values()][:2]
    assert all(opendkim(folder / "spoiled", spoiled, texts)) and not any(any(dkimpy(each, texts)) for each in spoiled)
    # No field may be added on the way.
    more = found["line"].replace(b"From:", b"From: Eve <eve@customer.example>\r\nFrom:", 1)
    assert dkimpy(more, texts) == [False]


def switch_over(figaro, folder, started):
    """Keys sign when the DNS has them, and not before."""
    def switch(*options):
        done = subprocess.run([binary(), "dkim", "rotate", "customer.example", "--switch", *options, "--config",
                               figaro.config], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr + done.stdout

    def serve(records):
        """Another life of the name server, with these records."""
        unbound = Unbound(folder / "unbound", "customer.example", [
            f'{name.removesuffix(".customer.example")} TXT ' + " ".join(
                f'"{text[place:place + 250]}"' for place in range(0, len(text), 250))
            for name, text in records], place=("127.0.0.1", port))
        return started(unbound)

    port = int(figaro.settings["dns"]["servers"][0].rpartition(":")[2])
    code, said = switch()
    assert code == 1 and said.count("cannot be asked for") == 2 and "nothing is changed" in said, said
    texts = records(figaro.command("dkim", "dns"))
    first, second = (f"{name}._domainkey.customer.example" for name in ("s2", "s2-ed"))
    server = serve([(first, texts[first])])
    code, said = switch()
    assert code == 1 and f"{first}:" not in said and f"{second}: there is no such name" in said, said
    assert f'should be: {second}. 3600 IN TXT ( "{texts[second]}" )' in said, said
    server.stop()
    server = serve([(first, texts[first]), (second, texts["s1-ed._domainkey.customer.example"])])
    code, said = switch()
    assert code == 1 and f"{second}: it holds another key" in said, said
    assert f'there is:  "{texts["s1-ed._domainkey.customer.example"]}"' in said, said
    assert switch("--force", "")[0] == 64 and "s2" not in "".join(
        each for each in figaro.command("dkim", "list").splitlines() if "signs" in each)
    server.stop()
    server = serve([(first, texts[first]), (second, texts[second])])
    code, said = switch()
    assert code == 0 and "sign after" in said, said
    server.stop()


def test_both_kinds_of_key_sign_each_message_and_keys_change_without_a_gap(folder, started):
    port = free_port(kind=socket.SOCK_DGRAM)
    figaro, provider = relay(folder, started, "both", configuration={
        "dns": {"servers": [f"127.0.0.1:{port}"], "timeout": "3s"}})
    send(figaro, head % b"both" + b"\r\nHi.\r\n", head % b"large" + b"\r\n" + bodies["large"])
    found = taken(provider, 2)
    texts = records(figaro.command("dkim", "dns"))
    assert {name: dkimpy(content, texts) for name, content in found.items()} == dict.fromkeys(found, [True, True])
    assert all(b"a=rsa-sha256" in each and b"a=ed25519-sha256" in each for each in found.values())
    again = subprocess.run([binary(), "dkim", "add", "customer.example", "--config", figaro.config],
                           capture_output=True, text=True, timeout=20)
    assert again.returncode == 1 and "dkim rotate" in again.stderr
    said = figaro.command("dkim", "rotate", "customer.example", "--selector", "s2")
    assert set(records(said)) == {f"{each}._domainkey.customer.example" for each in ("s2", "s2-ed")}
    assert "PRIVATE" not in said
    figaro.command("reload")
    states = lambda: {each["selector"]: each["state"] for each in map(
        json.loads, figaro.command("dkim", "list", "--json").splitlines())}
    assert states() == {"s1": "signs", "s1-ed": "signs", "s2": "next", "s2-ed": "next"}
    send(figaro, head % b"meanwhile" + b"\r\nHi.\r\n")
    switch_over(figaro, folder, started)
    figaro.command("reload")
    assert states() == {"s1": "old", "s1-ed": "old", "s2": "signs", "s2-ed": "signs"}
    send(figaro, head % b"later" + b"\r\nHi.\r\n")
    found = taken(provider, 4)
    texts = records(figaro.command("dkim", "dns"))
    assert len(texts) == 4
    assert {name: dkimpy(content, texts) for name, content in found.items()} == dict.fromkeys(found, [True, True])
    assert b"s=s1;" in found["meanwhile"] and b"s=s2;" in found["later"] and b"s=s1;" not in found["later"]
    # A key is shown to nobody, and a file that everybody may read is not used.
    [key] = (figaro.folder / "keys/customer.example").glob("s2.pem")
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    checked = subprocess.run([binary(), "config", "check", "--config", figaro.config], capture_output=True, text=True,
                             timeout=20)
    assert checked.returncode == 78 and "every user of this machine" in checked.stderr
    body = [line for line in key.read_text().splitlines() if not line.startswith("-")][0]
    said = figaro.command("dkim", "list", check=False) + checked.stderr + checked.stdout
    assert body not in said and body not in (figaro.folder / "figaro.out").read_text()


def test_what_a_customer_signed_stays_good_and_ours_comes_on_top(folder, started):
    figaro, provider = relay(folder, started)
    own = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                         capture_output=True, timeout=60, check=True)
    public = subprocess.run(["openssl", "pkey", "-pubout"], input=own.stdout, capture_output=True, timeout=20,
                            check=True)
    text = "v=DKIM1; p=" + "".join(public.stdout.decode().splitlines()[1:-1])
    contents = []
    covered = [b"from", b"bcc", b"return-path", b"subject"]
    for name, canonical, fields in [("simple", b"simple", None), ("relaxed", b"relaxed", None),
                                    ("bcc", b"simple", covered)]:
        content = b"Return-Path: <author@customer.example>\r\nBcc: <boss@customer.example>\r\n" if fields else b""
        content += head % name.encode() + b"\r\nHi,  you. \r\n\r\n\r\n"
        signer = dkim.DKIM(content)
        # Bcc and Return-Path should not be signed (RFC 6376 section 5.4.1), and are by some.
        signer.should_not_sign = set()
        signature = signer.sign(b"own", b"customer.example", own.stdout, canonicalize=(canonical, canonical),
                                include_headers=fields)
        contents.append(signature + content)
    send(figaro, *contents)
    found = taken(provider, 3)
    texts = {**records(figaro.command("dkim", "dns")), "own._domainkey.customer.example": text}
    assert {name: dkimpy(content, texts) for name, content in found.items()} == dict.fromkeys(found, [True, True])
    assert all(content.index(b"s=s1;") < content.index(b"s=own;") for content in found.values())


def test_nobody_is_signed_for_whom_there_is_no_key_or_who_is_not_its_owner(folder, started):
    figaro, provider = relay(folder, started, customers={"customer.example": ["somebody"]})
    send(figaro, head % b"one" + b"\r\nHi.\r\n",
         head.replace(b"author@customer", b"author@other") % b"two" + b"\r\nHi.\r\n")
    assert not [name for name, content in taken(provider, 2).items() if b"DKIM-Signature" in content]
    figaro.settings["dkim"] = {"folder": "keys", "customers": {"customer.example": ["acme"]}}
    figaro.write_configuration()
    figaro.command("reload")
    send(figaro, head % b"three" + b"\r\nHi.\r\n")
    assert b"d=customer.example; s=s1;" in taken(provider, 3)["three"]


def test_what_we_write_ourselves_is_signed_as_well_and_authors_of_any_alphabet(folder, started):
    """Our name is one below the domain that has the key, and that key is a customer's otherwise."""
    figaro, provider = relay(folder, started, domain="relay.example", customers={"relay.example": ["other"]},
                             configuration={"notices": {"full_message": "1MB", "gather": "0s"},
                                            "hostname": "out.relay.example"})
    figaro.command("dkim", "add", "xn--caf-dma.example", "--selector", "s1")
    figaro.command("reload")
    own = head.replace(b"customer.example", b"relay.example")
    with smtplib.SMTP("127.0.0.1", figaro.port, "customer.example", timeout=30) as client:
        client.ehlo()
        for name, to, body in [("gone", "nobody", b"Hi.\r\n"), ("gone-large", "nobody", bodies["large"]),
                               ("not-ours", "reader", b"Hi.\r\n")]:
            assert client.mail("author@friendly.example")[0] == 250
            assert client.rcpt(f"{to}@friendly.example")[0] == 250
            assert client.data(own % name.encode() + b"\r\n" + body)[0] == 250
        author = "Zoë <zoë@café.example>".encode()
        assert client.mail("author@friendly.example", ["BODY=8BITMIME"])[0] == 250
        assert client.rcpt("reader@friendly.example")[0] == 250
        assert client.data((head % b"letters").replace(b"Ann <author@customer.example>", author)
                           + b"\r\nHi.\r\n")[0] == 250
    wait_until(lambda: len(provider.messages) >= 4, 60, "two notices and two messages arrive")
    found = [re.sub(rb"(?m)^\.", b"", wire[:-3]) for _, wire in list(provider.messages)]
    texts = records(figaro.command("dkim", "dns"))
    notices = [each for each in found if b"From: \"" in each and b"<MAILER-DAEMON@out.relay.example>" in each]
    assert sorted(len(each) > 100_000 for each in notices) == [False, True]
    assert [dkimpy(each, texts) for each in notices] == [[True], [True]]
    assert opendkim(folder / "opendkim", notices, texts) == ["", ""]
    others = {re.search(rb"(?i)^message-id: <([^@]+)@", each, re.M)[1]: each for each in found if each not in notices}
    assert b"DKIM-Signature" not in others[b"not-ours"]
    assert b"d=xn--caf-dma.example;" in others[b"letters"] and dkimpy(others[b"letters"], texts) == [True]
