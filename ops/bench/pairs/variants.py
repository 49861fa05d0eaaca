"""The variants of the comparison, and their table."""

import dataclasses
import os
import statistics
import time

from pairs.case import Case
from pairs.figures import line, ratios, run_rounds
from pairs.measure import measure
from pairs.surroundings import Surroundings
from servers.process import Failed

# The messages of a run are --messages times the last number: what is slow is given less, or a run would take minutes.
# smtp-source and smtp-sink where they can, our own source and sink (which cost less) where they cannot.
_rows = [
    (Case("driver", "smtp-source and smtp-sink, then our own source and sink, in the common case", tools="own"), 1),
    (Case("common", "4 KB, 20 sessions kept, one recipient domain, no TLS"), 1),
    (Case("size-1k", "1 KB", size=1024), 1),
    (Case("size-10k", "10 KB", size=10_240), 1),
    (Case("size-100k", "100 KB", size=102_400), 0.15),
    (Case("sessions-1", "one session", sessions=1), 0.25),
    (Case("sessions-200", "200 sessions", sessions=200), 1),
    (Case("per-session-1", "one message over each session to the receiver", messages_per_session=1), 0.5),
    (Case("fsync-2ms", "200 sessions, each fsync 2 ms slower", sessions=200, fsync_delay=2000), 1),
    (Case("common-own", "the common case with our own source and sink, for what follows", tools="own"), 1),
    (Case("domains-10000", "10,000 recipient domains of one provider, by DNS", tools="own", domains=10_000), 0.5),
    (Case("domains-10000-own", "10,000 recipient domains, each with a mail host of its own, by DNS", tools="own",
          domains=10_000, own_hosts=True), 0.5),
    (Case("tls-in", "STARTTLS from the customer", tools="own", tls_in=True), 1),
    (Case("tls-out", "STARTTLS to the receiver", tools="own", tls_out=True), 1),
    (Case("tls-both", "STARTTLS on both sides", tools="own", tls_in=True, tls_out=True), 1),
    (Case("tls-per-connection", "STARTTLS on both sides, a connection a message on both", tools="own", kept=False,
          tls_in=True, tls_out=True, messages_per_session=1), 0.15),
]
variants = {case.name: (case, part) for case, part in _rows}

# Target and the ratio that it is about; the rest of the table has none.
_accepted_fall = 0.30
_driver_cost = 0.90


def run_variants(names, options):
    """Runs the named ones and prints the table; returns medians and spread of each, by name."""
    found, rows, missed = {}, [], []
    for name in names:
        case, part = variants[name]
        case = dataclasses.replace(
            case, messages=max(case.sessions, int(options.messages * part)),
            postfix_messages=max(case.sessions, int(options.postfix_messages * part)))
        print(f"\n{name}: {case.about}: {case.load}", flush=True)
        if name == "driver":
            found[name], row = _compare_drivers(case, options)
        else:
            with Surroundings(case, options) as around:
                rounds = run_rounds(["wire", "figaro", "postfix"], around, options)
            found[name], row = _summary(rounds), _row(case, rounds)
            if case.fsync_delay:
                found[name]["accepted_fall"], note = _fall(case, rounds, options)
                row += note
        rows.append(row)
        print(row, flush=True)
        missed += _missed(name, found[name])
    print(f"\n{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, {options.pairs} pairs, medians (lowest–highest)\n")
    print("| variant | Figaro accepted/s | Figaro delivered/s | Postfix delivered/s | wire/s | end to end | accepted "
          "| CPU | CPU s/1000 |\n|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    for text in missed:
        print(f"missed: {text}")
    return found


def _missed(name, found):
    if found.get("accepted_fall", [0])[0] > _accepted_fall:
        yield f"{name}: accepted falls by {found['accepted_fall'][0]:.0%}"
    if name == "driver" and found["wire_ratio"][0] < _driver_cost:
        yield f"{name}: the wire does {found['wire_ratio'][0]:.2f} times what smtp-source and smtp-sink do"


def _three(values, digits=4):
    """Median, lowest, highest."""
    return [round(each, digits) for each in (statistics.median(values), min(values), max(values))]


def _summary(rounds):
    found = {key: _three(values) for key, values in ratios(rounds).items()}
    for name, results in rounds[0].items():
        for field in results:
            found[f"{name}_{field}"] = _three([each[name][field] for each in rounds])
    return found


def _text(values, digits):
    """Median, lowest and highest in words."""
    middle, low, high = values
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def _row(case, rounds):
    def of(name, field, digits=0):
        return _text(_three([each[name][field] for each in rounds]), digits)

    times = {key: _text(_three(values), 1) for key, values in ratios(rounds).items()}
    return (f"| {case.name} | {of('figaro', 'accepted')} | {of('figaro', 'delivered')} | {of('postfix', 'delivered')} "
            f"| {of('wire', 'delivered')} | {times['e2e_ratio']} | {times['accept_ratio']} | {times['cpu_ratio']} "
            f"| {of('figaro', 'cpu', 2)} |")


def _fall(case, rounds, options):
    """How much less Figaro accepts on the slower disk than on the same disk as it is, run by run."""
    plain = dataclasses.replace(case, fsync_delay=0)
    falls = []
    with Surroundings(plain, options) as around, Surroundings(case, options) as slower:
        for _ in range(options.pairs):
            before = measure("figaro", around, options)
            print(line("as it is", before), flush=True)
            after = measure("figaro", slower, options)
            print(line("slower", after), flush=True)
            falls.append(1 - after["accepted"] / before["accepted"])
    return _three(falls), f"\n| | accepted falls by {_three(falls)[0]:.0%} ({min(falls):.0%}–{max(falls):.0%}) |"


def _compare_drivers(case, options):
    """The common case with smtp-source and smtp-sink, and with our own: on the bare wire and through Figaro."""
    kinds = {"postfix": dataclasses.replace(case, tools="postfix"), "own": case}
    results = {(kind, name): [] for kind in kinds for name in ("wire", "figaro")}
    for number in range(options.pairs):
        for kind in kinds if number % 2 == 0 else [*kinds][::-1]:
            with Surroundings(kinds[kind], options) as around:
                for name in ("wire", "figaro"):
                    result = measure(name, around, options)
                    print(f" {kind:8}{line(name, result)}", flush=True)
                    results[kind, name].append(result)
    found = {}
    for name in ("wire", "figaro"):
        pairs = zip(results["own", name], results["postfix", name])
        found[f"{name}_ratio"] = _three([own["delivered"] / theirs["delivered"] for own, theirs in pairs])
    wire, figaro = found["wire_ratio"], found["figaro_ratio"]
    print(f" ours against smtp-source and smtp-sink: the wire does {_text(found['wire_ratio'], 2)} times, Figaro "
          f"between them {_text(found['figaro_ratio'], 2)}: {'dearer' if wire[0] < _driver_cost else 'no dearer'}")
    return found, f"| driver | Figaro {figaro[0]:.2f} times | | | wire {wire[0]:.2f} times | | | | |"
