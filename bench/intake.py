"""How fast events are taken, always beside what Postgres alone reaches in the same minute."""

from stand import CUSTOMERS, median

HTTP = {"batch": ("--conns", 4, "--batch", 100),
        "single": ("--conns", 64, "--batch", 1),
        "pipeline": ("--conns", 64, "--batch", 1, "--depth", 8)}
best = {}  # batch and connections of the limit at its best, once found


def seeded(stand, mqtt=False):
    """The usual daemon, started when there is none or another one."""
    kind = ("usual", mqtt or stand.broker is not None)
    if getattr(stand, "kind", None) != kind or stand.daemon is None:
        stand.start(mqtt=mqtt)
        stand.kind = kind
    return stand.daemon


def find_best(stand, table=None):
    """Best of batch 100 to 1000 and 1 to 4 connections."""
    if best and table is None:
        return best
    tried = []
    for conns in (1, 2, 3, 4):
        for batch in (100, 200, 500, 1000):
            got = stand.limit(batch=batch, conns=conns, seconds=1.5)
            tried.append((got["rate"], batch, conns, got))
    top = sorted(tried, key=lambda t: -t[0])[:4]  # once more: one run may have been lucky
    again = {t[1:3]: stand.limit(batch=t[1], conns=t[2], seconds=2)["rate"] for t in top}
    stand.reset()
    rate, batch, conns, got = max(top, key=lambda t: t[0] + again[t[1:3]])
    best.update(batch=batch, conns=conns)
    if table:
        for b in (100, 200, 500, 1000):
            table.add("limit", f"batch {b}, connections 1 2 3 4", max(t[0] for t in tried if t[1] == b), "events/s",
                      note=" ".join(f"{t[0]:,.0f}" for t in tried if t[1] == b))
        table.add("limit", f"best: batch {batch}, {conns} connections", rate, "events/s",
                  note=f"Postgres {got['postgres_us']:.0f} us/event, p99 {got['p99']:.0f} ms")
    return best


def limit(stand, table, runs, seconds):
    seeded(stand)
    find_best(stand, table)
    bare = [stand.limit("--bare", seconds=seconds, **best)["rate"] for _ in range(runs)]
    full = [stand.limit(seconds=seconds, **best)["rate"] for _ in range(runs)]
    written = stand.shares("limit")
    table.add("limit", "chains per event", written["chains"], note="messages %.3f, orders %.3f (counted, also of bare)"
              % (written["messages"], written["orders"]))
    table.add("limit", "without the order rows", median(bare), "events/s", note=f"with: {median(full):,.0f}")
    rows = [stand.limit("--rows", seconds=seconds, **best)["rate"] for _ in range(runs)]
    table.add("limit", "with arrays of rows, as the daemon writes", median(rows), "events/s",
              note="of the limit %.2f; floors are of the limit" % (median(rows) / median(full)))


def pairs(stand, args, runs, seconds, mqtt=False):
    """[(limit, ours)], one after the other, after a short warming up of both."""
    find_best(stand)
    stand.reset()
    stand.limit(seconds=0.5, **best)
    warm = stand.measure(*args, seconds=1, mqtt=mqtt)
    if mqtt:  # a publisher that is a little too quick: broker, publisher and daemon work all the time, not in turn
        args = (*args, "--rate", round(1.3 * warm["rate"]))
    return [(stand.limit(seconds=seconds, **best), stand.measure(*args, seconds=seconds, mqtt=mqtt))
            for _ in range(runs)]


def spread(values):
    return f"[{min(values):.2f}..{max(values):.2f}]"


def row(stand, table, name, args, runs, seconds, least, goal, most_us, mqtt=False, most_p99=None):
    seeded(stand, mqtt)
    got = pairs(stand, args, runs, seconds, mqtt)
    ratios = [ours["rate"] / lim["rate"] for lim, ours in got]
    ours = [o for _, o in got]
    written = stand.shares("bench")
    batch = max(1, round(median([o["batch"] for o in ours])))
    same = [stand.limit(seconds=min(seconds, 2), batch=min(batch, 1000), conns=2)["postgres_us"] for _ in range(3)]
    postgres = median([o["postgres_us"] for o in ours])
    table.add(name, "rate, of the limit", median(ratios), "", least, None, goal, note=spread(ratios))
    table.add(name, "rate", median([o["rate"] for o in ours]), "events/s",
              note=f"limit {median([lim['rate'] for lim, _ in got]):,.0f}")
    if most_us:
        table.add(name, "engine CPU per event", median([o["engine_us"] for o in ours]), "us", None, most_us)
    table.add(name, f"Postgres CPU, of the limit at batch {batch}", postgres / median(same), "", None, 1.2,
              note=f"{postgres:.0f} against {median(same):.0f} us/event")
    if not mqtt:
        table.add(name, "answer p50", median([o["p50"] for o in ours]), "ms")
        table.add(name, "answer p99", median([o["p99"] for o in ours]), "ms", None, most_p99)
    table.add(name, "chains per event", written["chains"], note="messages %.3f, orders %.3f"
              % (written["messages"], written["orders"]))


def batch(stand, table, runs, seconds):
    row(stand, table, "batch", HTTP["batch"], runs, seconds, 0.50, 0.60, 15, most_p99=25)


def single(stand, table, runs, seconds):
    row(stand, table, "single", HTTP["single"], runs, seconds, 0.30, 0.38, 22, most_p99=25)


def pipeline(stand, table, runs, seconds):
    row(stand, table, "pipeline", HTTP["pipeline"], runs, seconds, 0.45, None, None)


def mqtt(stand, table, runs, seconds):
    row(stand, table, "mqtt", ("--mode", "mqtt"), runs, seconds, 0.40, 0.48, 18, mqtt=True)


def p99(stand, table, runs, seconds):
    """Only how long answers take at full load; `batch` and `single` say it, too."""
    seeded(stand)
    stand.reset()
    for name in ("batch", "single"):
        stand.measure(*HTTP[name], seconds=1)
        got = [stand.measure(*HTTP[name], seconds=seconds) for _ in range(runs)]
        table.add("p99", f"answer p99 at full load, {name}", median([g["p99"] for g in got]), "ms", None, 25,
                  note=f"{median([g['rate'] for g in got]):,.0f} events/s")


def verdicts(stand, table, runs, seconds):
    """The column costs Postgres: the limit program with and without it.  The engine's share: README."""
    seeded(stand)
    stand.reset()
    stand.limit(seconds=1, batch=200, conns=2)
    rates, cpu = [], []
    for _ in range(runs):
        without = stand.limit("--no-verdicts", seconds=seconds, batch=200, conns=2)
        with_ = stand.limit(seconds=seconds, batch=200, conns=2)
        rates.append(without["rate"] / with_["rate"] - 1)
        cpu.append(with_["postgres_us"] / without["postgres_us"] - 1)
    table.add("verdicts", "Postgres CPU that the column costs", median(cpu) * 100, "%", None, 10,
              note=f"rate {median(rates) * 100:.1f} %; limit program at batch 200")


def rules1000(stand, table, runs, seconds):
    """Two daemons after each other, in turn: 50 rules and 1,000."""
    costs = []
    daemon = seeded(stand)
    stand.reset()
    for _ in range(runs):
        us = {}
        for n in (50, 1000):
            daemon.write_rules(stand.rules(n))
            daemon.ctl("reload")
            stand.reset()  # what the one finds the other finds
            stand.measure(*HTTP["batch"], seconds=1)
            us[n] = stand.measure(*HTTP["batch"], seconds=seconds)["engine_us"]
        costs.append(us[1000] / us[50])
    daemon.write_rules(stand.rules(50))
    daemon.ctl("reload")
    table.add("rules1000", "engine CPU, 1,000 rules against 50", median(costs), "", None, 1.05, note=spread(costs))


def scaling(stand, table, runs, seconds):
    """One engine and two on one Postgres, in turn; connections and customers fall to them at random."""
    sums = {1: [], 2: []}
    args = ("--conns", 16, "--batch", 100)
    stand.start()
    stand.kind = None
    daemon = stand.daemon
    for _ in range(runs):
        for n in (1, 2):
            daemon.stop()
            daemon.sections["nudged"]["engines"] = n
            daemon.write()
            daemon.start()
            stand.reset()  # what one finds the other finds
            stand.measure(*args, seconds=1)
            sums[n].append(stand.measure(*args, seconds=seconds))
    ratios = [b["rate"] / a["rate"] for a, b in zip(sums[1], sums[2])]
    table.add("scaling", "two engines, of one", median(ratios), "", 1.0, note=spread(ratios) + " one: %.0f, two: %.0f"
              % (median([a["rate"] for a in sums[1]]), median([b["rate"] for b in sums[2]])))
    table.add("scaling", "answer p99 of two engines", median([b["p99"] for b in sums[2]]), "ms",
              note="1,600 events in flight")


def growth(stand, table, runs, seconds):
    """Two databases of one cluster, in turn: a small one, and one with a million customers and five million events."""
    stand.start()
    find_best(stand)
    both, args = {"small": (stand.daemon, HTTP["batch"])}, (*HTTP["batch"], "--customers", 10 * CUSTOMERS)
    stand.daemon = stand.kind = None
    stand.start()
    both["grown"] = (stand.daemon, args)
    for text in GROW:
        stand.sql(text)
    rates, limits = {"small": [], "grown": []}, {"small": [], "grown": []}
    for turn in range(runs + 1):
        for name, (stand.daemon, arguments) in both.items():
            bare = stand.limit(seconds=seconds, **best)["rate"]
            ours = stand.measure(*arguments, seconds=seconds)["rate"]
            if turn > 0:  # the first is for warming up
                limits[name].append(bare)
                rates[name].append(ours)
    events, customers = stand.sql("select (select count(*) from event), (select count(*) from customer)")[0]
    small, grown = median(rates["small"]), median(rates["grown"])
    ratios = [g / s for s, g in zip(rates["small"], rates["grown"])]
    table.add("growth", "rate, of the small one's", median(ratios), "", 0.7, note=spread(ratios)
              + f" {small:,.0f} -> {grown:,.0f} events/s; the limit keeps "
              f"{median([g / s for s, g in zip(limits['small'], limits['grown'])]):.2f}; {events / 1e6:.1f} M events, "
              f"{customers / 1e6:.1f} M customers")
    stand.stop()
    stand.daemon = both["small"][0]
    stand.stop()


# customers c100000.. as bench/load names them, five events of each customer, a chain of every second, their orders
GROW = (
    "insert into customer (id, base, created_at, last_seen_at) select nextval('customer_no'), 'main', now(), now() "
    "from generate_series(100000, 999999)",
    "insert into identity (base, kind, value, customer) select 'main', 1, 'c' || (99999 + row_number() over ()), c.id "
    "from customer c where not exists (select from identity i where i.customer = c.id) order by 3",
    "insert into event (received, store, source, id, content_hash, seq, customer, type, time, data, verdicts) "
    "select now(), 'main', 'grown', md5(n::text), md5(n::text)::uuid, n, c.id, "
    "(array['order.placed', 'cart.updated', 'product.viewed'])[1 + n % 3], now(), "
    "('{\"lot\":' || n % 100 || ',\"note\":\"' || repeat('x', 330) || '\"}')::json, "
    "'[{\"rule\":\"look-again\",\"v\":\"when\",\"read\":{\"event.lot\":55}}]' "
    "from (select id, row_number() over (order by id) as k from customer) c, "
    "generate_series(0, 4) g, lateral (select c.k * 5 + g as n) x order by md5(n::text)",
    "insert into orders (customer, store, id, currency, total, placed_at, updated_at, products, stamps) "
    "select customer, 'main', id, 'EUR', 10, now(), now(), '[]', '{}' from event where type = 'order.placed' "
    "and source = 'grown' order by id",
    "insert into chain (id, customer, store, rule, text_hash, level, state, started, wake_at, awaits, event, history) "
    "select -row_number() over (), e.customer, 'main', 'look-again', 'none', 1, 'waiting', now(), "
    "now() + interval '3 days', '{product.wished}', e.data, '[]' from event e where e.seq % 4 = 0",
    "vacuum (analyze) customer", "vacuum (analyze) identity", "vacuum (analyze) event", "vacuum (analyze) orders",
    "vacuum (analyze) chain", "checkpoint",
)
