"""What must hold for a delivery status notification, by Python's own parser and by the octets themselves."""

import dataclasses
import email.message
import re


@dataclasses.dataclass
class Report:
    """A notice taken apart: its text for people, the fields of the message and of each recipient, the original."""
    message: email.message.EmailMessage
    text: str
    about: dict
    recipients: list
    original: email.message.EmailMessage
    is_whole: bool

    def only(self):
        assert len(self.recipients) == 1, self.recipients
        return self.recipients[0]


def defects(message):
    """Everything that the parser found wrong, in the message and its parts."""
    found = list(message.defects)
    for name, value in message.items():
        found += [f"{name}: {each}" for each in getattr(value, "defects", ())]
    if message.is_multipart():
        for part in message.get_payload():
            found += defects(part)
    return found


def checked(message, sender, raw=None, hostname="relay.example"):
    """A well-formed notice (RFC 3464 section 2) to `sender`, taken apart; every deviation fails."""
    if raw is not None:
        lines = raw.split(b"\n")
        assert max(map(len, lines)) <= 998, "no line is too long"
        bad = [line for line in lines if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", line)]
        assert not bad, f"control characters: {bad[:3]}"
    assert not defects(message), defects(message)
    assert message["Return-Path"] == "<>", message["Return-Path"]
    assert message["To"] == sender or message["To"] == f"<{sender}>", message["To"]
    assert f"MAILER-DAEMON@{hostname}" in message["From"]
    assert message["Auto-Submitted"] == "auto-replied"
    for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"):
        assert len(message.get_all(name)) == 1, f"{name} stands there once"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    text, status, original = message.get_payload()
    assert text.get_content_type() == "text/plain" and text["Content-Language"]
    assert status.get_content_type() == "message/delivery-status"
    about, *recipients = [dict(block.items()) for block in status.get_payload() if block.items()]
    assert about["Reporting-MTA"] == f"dns; {hostname}"
    for fields in recipients:
        assert fields["Final-Recipient"].partition(";")[0] in ("rfc822", "utf-8")
        assert fields["Action"] in ("failed", "delayed", "relayed")
        assert re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", fields["Status"]), fields["Status"]
        unknown = set(fields) - {"Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA",
                                 "Diagnostic-Code", "Last-Attempt-Date", "Final-Log-ID", "Will-Retry-Until"}
        assert not unknown, f"fields that nobody meant: {unknown}"
    is_whole = original.get_content_type() == "message/rfc822"
    if is_whole:
        inner = original.get_payload(0)
    else:
        assert original.get_content_type() == "text/rfc822-headers", original.get_content_type()
        inner = email.message_from_string(original.get_content())
    return Report(message, text.get_content(), about, recipients, inner, is_whole)
