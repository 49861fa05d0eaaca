"""Messages of every size and form that customers send."""

import base64
import concurrent.futures
import random
import smtplib

domain = "sink.example"


def corpus(count, seed, prefix, large=4, domain=domain):
    """Yields (identifier, recipients, content); of `count` messages `large` have 10 MB, some more than 64 KB."""
    dice = random.Random(seed)
    forms = (text, eight_bit, dots, long_lines, attachment, empty, folded, bare_header)
    for number in range(count):
        identifier = f"{prefix}{number:05d}"
        if number < large:
            body = attachment(dice, 7_300_000)
        elif number % 40 == 0:
            body = attachment(dice, dice.randrange(60_000, 500_000))
        else:
            body = forms[number % len(forms)](dice, dice.randrange(200, 20_000))
        recipients = [f"reader{each}@{domain}" for each in range(dice.randrange(2, 6) if number % 10 == 3 else 1)]
        yield identifier, recipients, header(dice, identifier, number) + body


def header(dice, identifier, number):
    """Every tenth message has neither Date nor Message-ID; the body's form brings the rest and the empty line."""
    lines = ["Received: from desk (desk [192.0.2.7]) by mail.customer.example; Sun, 22 Nov 2026 09:59:59 +0000",
             "From: =?utf-8?q?J=C3=BCrgen?= <author@customer.example>", "To: reader@sink.example",
             f"Subject: message {number} {dice.random()}", f"X-Test-ID: {identifier}"]
    if number % 10:
        lines += ["Date: Sun, 22 Nov 2026 10:00:00 +0000", f"Message-ID: <{identifier}@customer.example>"]
    return "".join(line + "\r\n" for line in lines).encode()


def text(dice, size):
    words = "the relay keeps what it took and hands it on once and no more".split()
    lines = [" ".join(dice.choice(words) for _ in range(dice.randrange(1, 12))) for _ in range(size // 40)]
    return ("\r\n" + "\r\n".join(lines) + "\r\n").encode()


def eight_bit(dice, size):
    """Latin-1 and UTF-8 octets as they are, in the body only."""
    body = "".join(dice.choice("äöüßéà€漢 word \r").replace("\r", "\r\n") for _ in range(size // 3))
    return (b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
            + body.encode() + "\r\nGrüße".encode("latin-1") + b"\r\n")


def dots(dice, size):
    lines = [dice.choice([".", "..", "...", ". .", ".a", "", "a.", ".\t", "..."]) for _ in range(size // 4)]
    return ("\r\n" + "\r\n".join(lines) + "\r\n.\r\n..\r\n").encode()


def long_lines(dice, size):
    """998 octets are the limit of a line without its end (RFC 5321 section 4.5.3.1.6 says 1000 with it)."""
    lines = [dice.choice("abc.") * dice.choice([998, 997, 1, 500]) for _ in range(1 + size // 600)]
    return ("\r\n" + "\r\n".join(lines) + "\r\n" + "." * 997 + "\r\n").encode()


def attachment(dice, size):
    octets = base64.encodebytes(dice.randbytes(size)).replace(b"\n", b"\r\n")
    return (b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\n'
            b"Content-Type: text/plain\r\n\r\nsee the file\r\n--=_b\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n" + octets + b"--=_b--\r\n")


def empty(dice, size):
    return b"\r\n"


def folded(dice, size):
    field = "X-Folded: " + "\r\n\t".join(f"part{each}" for each in range(size // 100))
    return (field + "\r\nX-Empty:\r\n\r\nbody \t\r\n\r\n\r\n").encode()


def bare_header(dice, size):
    """A header and no body at all, not even the empty line."""
    return b"X-Last: yes\r\n"


def submit(port, messages, sender="author@customer.example", sessions=8):
    """Sends over some sessions at once; an exception when one is refused."""
    messages = list(messages)

    def send(share):
        with smtplib.SMTP("127.0.0.1", port, "desk.customer.example", timeout=120) as client:
            for _, recipients, content in share:
                client.sendmail(sender, recipients, content, mail_options=["BODY=8BITMIME"])

    with concurrent.futures.ThreadPoolExecutor(sessions) as pool:
        for done in [pool.submit(send, messages[each::sessions]) for each in range(sessions)]:
            done.result()
    return messages
