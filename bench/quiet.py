"""What is not about the most events a second: latency, mail, timers, restart."""


def light(stand, table, runs, seconds):
    stand.start()
    stand.kind = None
    stand.measure("--conns", 4, "--batch", 10, seconds=1)
    got = stand.measure("--conns", 1, "--batch", 1, "--rate", 50, seconds=21)
    table.add("light", "answer p50 at 50 events/s", got["p50"], "ms", None, 1.6, note=f"{got['events']:.0f} samples")
    table.add("light", "answer p99 at 50 events/s", got["p99"], "ms", None, 4)


def mail(stand, table, runs, seconds):
    del stand, table, runs, seconds


def timers(stand, table, runs, seconds):
    del stand, table, runs, seconds
