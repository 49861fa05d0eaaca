"""What came of it, from the providers' own logs and from Figaro's, and a picture of the /24 by provider."""

import collections

network = "127.77.0"
columns = 16


def cell(provider, last, colour):
    """One address as one provider saw it: how often it took mail from there, or that it refused it."""
    address = f"{network}.{last}"
    taken, refused = provider.taken[address], provider.refused[address]
    if last in (0, 255):
        return " "
    if taken:
        sign, code = (str(taken) if taken < 10 else "+"), "32"
    elif refused:
        sign, code = "x", "31"
    else:
        sign, code = "·", "2"
    return f"\033[{code}m{sign}\033[0m" if colour else sign


def picture(providers, colour):
    shown = [provider for provider in providers if provider.connections]
    lines = ["  ".join(f"{provider.name:<{columns}}" for provider in shown)]
    for row in range(256 // columns):
        lines.append("  ".join("".join(cell(provider, row * columns + column, colour) for column in range(columns))
                               for provider in shown) + f"   .{row * columns}")
    lines.append("a digit: messages taken from that address · x: refused there and sent from another · dot: not drawn")
    return lines


def table(providers, recipients, ends):
    """`ends`: recipients by domain and how Figaro says they ended."""
    lines = [f"{'provider':<10}{'sent to':>8}{'taken':>7}{'refusals':>9}{'sources':>8}   {'Figaro says':<34} it"]
    for provider in providers:
        said = ends[provider.domain]
        words = ", ".join(f"{count} {how}" for how, count in sorted(said.items()) if count)
        lines.append(f"{provider.name:<10}{recipients[provider.domain]:>8}{sum(provider.taken.values()):>7}"
                     f"{sum(provider.refused.values()) + provider.unknown:>9}{len(provider.taken):>8}   {words:<34} "
                     f"{provider.conduct}")
    return lines


def disagreements(providers, recipients, ends):
    """Where the two logs tell different stories: there should be none."""
    for provider in providers:
        said = ends[provider.domain]
        taken = sum(provider.taken.values())
        if said["delivered"] != taken:
            yield f"{provider.name} took {taken}, Figaro says {said['delivered']}"
        if sum(said.values()) != recipients[provider.domain]:
            yield f"{provider.name}: {recipients[provider.domain]} were sent, Figaro knows of {sum(said.values())}"
        numbers = collections.Counter(number(content) for _, content in provider.messages)
        twice = [each for each, count in numbers.items() if count > 1]
        if twice:
            yield f"{provider.name} got twice: {twice[:5]}"


def number(content):
    for line in content.split(b"\r\n"):
        if line.lower().startswith(b"x-demo:"):
            return line.partition(b":")[2].strip().decode()
    return None
