"""What must hold between what a customer's server put on the wire and what the receiver got."""

import collections
import math
import re

_added = re.compile(rb"(?:(Received|Date|Message-ID):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)", re.I)
_address = re.compile(r"<([^>]*)>")


def added_fields(sent, received):
    """Names of the header fields that stand before `sent` in `received`; None when it is not its exact end."""
    if not received.endswith(sent):
        return None
    head, names, at = received[:len(received) - len(sent)], [], 0
    while at < len(head):
        field = _added.match(head, at)
        if not field:
            return None
        names.append(field.group(1).decode().title())
        at = field.end()
    return names


def check_exactly_once(messages, wire, receiver, domain_only=None):
    """Every message at each of its recipients once, and octet for octet what the customer's server sent."""
    sent, arrived = wire.by_id(), receiver.by_id()
    problems = []
    for identifier, recipients, _ in messages:
        got = collections.Counter(
            _address.search(each).group(1) for message in arrived.get(identifier, [])
            for each in message["recipients"])
        if got != collections.Counter(recipients):
            problems.append(f"{identifier}: for {recipients}, arrived for {dict(got)}")
            continue
        original = wire.content(sent[identifier][-1])
        for message in arrived[identifier]:
            names = added_fields(original, receiver.content(message))
            has = {name for name in (b"date", b"message-id") if has_field(original, name)}
            wanted = ["Received"] + [name.decode().title() for name in (b"date", b"message-id") if name not in has]
            if names != wanted:
                problems.append(f"{identifier}: not identical; added {names}, expected {wanted}")
    unknown = set(arrived) - {identifier for identifier, _, _ in messages}
    if unknown:
        problems.append(f"nobody sent {sorted(map(str, unknown))[:5]}")
    assert not problems, f"{len(problems)} of {len(messages)}: " + "; ".join(problems[:5])


def has_field(content, name):
    head = content[:content.find(b"\r\n\r\n") + 2] if b"\r\n\r\n" in content else content
    return re.search(rb"^" + name + rb"[ \t]*:", head, re.M | re.I) is not None


def chi_square_p(counts, kinds):
    """The probability of counts at least so uneven, were each of `kinds` values equally likely.

    By Wilson and Hilferty's normal approximation, which is good to a few per cent at hundreds of degrees of freedom.
    """
    total = sum(counts.values())
    mean = total / kinds
    statistic = sum((counts.get(kind, 0) - mean) ** 2 / mean for kind in counts) + (kinds - len(counts)) * mean
    freedom = kinds - 1
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    return 0.5 * math.erfc(z / math.sqrt(2))


def check_spread(receiver, network="127.77.0.", kinds=254, at_least=240):
    """Sessions came from nearly every address of the range, evenly, and each with the name that belongs to it."""
    messages = receiver.messages()
    counts = collections.Counter(message["peer"] for message in messages)
    outside = [peer for peer in counts if not peer.startswith(network)]
    assert not outside, outside
    wrong = [(message["peer"], message["helo"]) for message in messages
             if message["helo"] != f"out-{message['peer'].rpartition('.')[2]}.relay.example"]
    assert not wrong, wrong[:5]
    probability = chi_square_p(counts, kinds)
    print(f"{len(messages)} messages from {len(counts)} addresses, p = {probability:.3g}")
    assert len(counts) >= at_least
    assert probability > 1e-6
