"""kill -9 under load: what got 250 arrives, and only what was being completed comes again."""

from load.rounds import Rounds, lost_under_mutation

# Completions are durable within 50 ms; the rest is the scheduling of five busy processes on two cores.
repeat_limit = 0.15


def check(account):
    print(account)
    assert account.taken >= 150
    assert not account.missing
    assert not account.early_repeats


def test_kills_lose_nothing(folder):
    with Rounds(folder, rounds=3, seed=11, limit=repeat_limit) as rounds:
        check(rounds.run(print))


def test_kills_that_throw_away_unsynced_writes_lose_nothing(folder):
    with Rounds(folder, rounds=3, seed=12, disk="all", limit=repeat_limit) as rounds:
        check(rounds.run(print))


def test_kills_that_throw_away_some_unsynced_writes_lose_nothing(folder):
    with Rounds(folder, rounds=3, seed=13, disk="some", limit=repeat_limit) as rounds:
        check(rounds.run(print))


def test_without_fsync_the_harness_sees_the_loss(folder):
    assert lost_under_mutation(folder=folder, rounds=1, seed=14, disk="all", sync="noop", slow=0.05)


def test_with_250_before_the_commit_the_harness_sees_the_loss(folder):
    """A slow disk, so that something is always on its way between the early 250 and the commit."""
    assert lost_under_mutation(folder=folder, rounds=2, seed=15, disk="all", delay=20_000, lying=True, sessions=40)
