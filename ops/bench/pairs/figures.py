"""Rounds of runs in turn, and what they come to: medians, spread, ratios of each pair."""

import statistics

from pairs.measure import fsyncs, measure

# name: (who is better when it is greater, compared with whom, in what, whether less is better)
_ratios = {
    "e2e_ratio": ("figaro", "postfix", "delivered", False),
    "accept_ratio": ("figaro", "postfix", "accepted", False),
    "cpu_ratio": ("figaro", "postfix", "cpu", True),
    "wire_fraction": ("figaro", "wire", "delivered", False),
}


def line(name, result):
    text = f"  {name:8} accepted {result['accepted']:8.0f}/s  delivered {result['delivered']:8.0f}/s"
    if "cpu" in result:
        text += f"  CPU {result['cpu']:6.3f} s/1000  memory {result['memory'] / 1e6:6.1f} MB"
    return text


def spread(label, values):
    print(f"  {label:14} median {statistics.median(values):7.3f}   from {min(values):7.3f} to {max(values):7.3f}")
    return round(statistics.median(values), 4)


def run_rounds(names, around, options):
    """Each contestant once a round, in alternating order: a list of {name: result}."""
    rounds = []
    for number in range(options.pairs):
        results = {}
        for name in names if number % 2 == 0 else names[:1] + names[:0:-1]:
            results[name] = measure(name, around, options)
            print(line(name, results[name]), flush=True)
        rounds.append(results)
    return rounds


def ratios(rounds):
    """The values of each ratio that the contestants allow, one a round."""
    found = {}
    for key, (better, worse, field, less) in _ratios.items():
        if better in rounds[0] and worse in rounds[0]:
            pairs = [(each[better][field], each[worse][field]) for each in rounds]
            found[key] = [b / a if less else a / b for a, b in pairs]
    return found


def run_case(names, around, options):
    """All rounds of a case, printed in full; returns the medians of its ratios."""
    rounds = run_rounds(names, around, options)
    for name in names:
        print(f" {name}, medians of {len(rounds)}")
        for key in rounds[0][name]:
            scale = 1e6 if key == "memory" else 1
            spread({"memory": "memory MB", "cpu": "CPU s/1000"}.get(key, f"{key}/s"),
                   [each[name][key] / scale for each in rounds])
        if name != "wire" and not options.no_fsyncs:
            print(f"  {'fsyncs/message':14} {fsyncs(name, around, options):14.3f}", flush=True)
    print(" ratios")
    return {key: spread(key, values) for key, values in ratios(rounds).items()}
