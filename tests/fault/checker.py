"""The checker: what was sent and acknowledged, compared with the database and with the SMTP and MQTT peers.

    ledger = Ledger()                       # shared by all who send
    ledger.answered(events, verdicts)       # HTTP 200: the verdict of each
    ledger.published(event)                 # MQTT: given to the broker, which will have it
    complaints = Checker(facts).complaints()

`gather` reads the facts of one database with the rules of world.py; they are plain data (class Facts), so that the
checker's own test can spoil them one by one (`spoil`) and see it complain.  The invariants, numbered as in the
promises of the daemon:

 I1  acknowledged is stored, stored is sent: each event once; a second acknowledgement says duplicate
 I2  the effects of (event, rule) happen exactly once: notes, chains, messages, tasks, card changes; sums on the cards
     equal a recount of the stored events
 I3  a peer got each message once at most; more only when it was in doubt and may be resent, once per doubt;
     `sent` means that it arrived; each doubt is explained by the death of a courier that held it
 I4  no message is `sending` that nobody holds
 I5  nothing went to a person who did not agree to it
 I6  a chain that ended has all its steps, once, in order
 I7  no timer fired early by the clock of the database
 I8  everybody is there again
 I9  no process has grown beyond its limit
 I10 no address, token or key in the logs
"""

import collections
import copy
import json
import threading


class Ledger:
    """What senders know.  Thread safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent = {}  # event by id, everything that was ever tried
        self.acknowledged = {}  # how often
        self.must = set()  # ids that have to be there
        self.wrong = []  # verdicts that break a promise

    def trying(self, events):
        with self.lock:
            for e in events:
                self.sent.setdefault(e["id"], e)

    def answered(self, events, verdicts, again=False):
        """again: all of them had been acknowledged before."""
        with self.lock:
            for e, verdict in zip(events, verdicts):
                before = self.acknowledged.get(e["id"], 0)
                good = ("duplicate",) if again or before else ("accepted", "duplicate")
                if verdict not in good:
                    self.wrong.append(f"I1: event {e['id']}, acknowledged {before} times before, is answered {verdict}")
                self.acknowledged[e["id"]] = before + 1
                self.must.add(e["id"])

    def conflicted(self, event, verdict):
        """The id of an acknowledged event was sent with other content."""
        with self.lock:
            if verdict != "conflict":
                self.wrong.append(f"I1: another event with the id {event['id']} is answered {verdict}")

    def published(self, event):
        with self.lock:
            self.sent.setdefault(event["id"], event)
            self.must.add(event["id"])


class Facts:
    """Everything that is compared; filled by gather(), all of it plain lists and dictionaries."""

    def __init__(self, **values):
        self.__dict__.update(values)


def gather(world):
    """world: a world.World that has settled."""
    ledger, q = world.ledger, world.sql
    return Facts(
        sent=dict(ledger.sent), must=set(ledger.must), wrong=list(ledger.wrong), resend=world.resend,
        deaths=list(world.deaths()),
        # id, type, customer, total, seq
        events=q("select id, type, customer, coalesce((data ->> 'total')::float, 0), seq from event "
                 "where type in ('order.placed', 'cart.updated', 'page.viewed') and origin = 0"),
        quarantined=q("select id, reason from quarantine"),
        conflicts=[r[0] for r in q("select id from conflict")],
        notes=[r[0] for r in q("select text from note")],
        # customer, merged_into, n, orders_count, orders_total, email
        cards=q("select id, merged_into, coalesce((attributes ->> 'n')::int, 0), orders_count, orders_total::float, "
                "email from customer where not hidden"),
        orders=q("select id, customer, total::float from orders"),
        chains=q("select rule, state, id::text from chain"),
        ended=q("select rule, state, event ->> 'id', history::text, extract(epoch from ended - started)::float "
                "from chain_log"),
        # chains whose message is in doubt: they wait on
        doubtful={r[0] for r in q("select chain::text from message where state = 'in_doubt'")},
        # rule, channel, class, state, doubts, id of the event, number, owner, claimed, code
        messages=q("select rule, channel, class, state, doubts, coalesce(data -> 'with' ->> 'id', "
                   "data -> 'payload' ->> 'id'), id, owner_pid || '/' || owner_start, "
                   "extract(epoch from claimed_at)::float, code from message"),
        held=[r[0] for r in q("select id from message m where state = 'sending' and not exists (select from "
                              "pg_stat_activity a where a.pid = m.owner_pid and a.backend_start = m.owner_start)")],
        tasks=[r[0] for r in q("select title from task")],
        # what belongs to a card that was joined belongs to the living one
        orphans=[(t, n) for t in ("event", "identity", "orders", "chain", "message", "task", "note", "inbox")
                 for n in [q(f"select count(*) from {t} x join customer c on c.id = x.customer "
                             "where c.merged_into <> 0")[0][0]] if n],
        suspended=q("select rule, reason from suspended_rule"),
        strikes=q("select kind, id, rule from strike"),
        mails=[(m.header("Subject"), m.header("Message-ID"), m.recipient, m.doubtful) for m in list(world.smtp.messages)],
        papers=list(world.papers),  # ids that the subscriber of what is published has heard
        missing=world.missing(), sizes=world.sizes(), log_lines=world.secrets())


class Checker:
    """The facts of one world against what its rules (world.py) should have made of the events."""

    TIMER_S = 1.0  # of rule "waits"
    SIZE_MOST = 160 << 20
    # places at which a courier holds a message between claim and outcome, surely or perhaps
    HOLDING = {"claim.after_commit", "mail.before_body", "mail.after_body", "mail.before_record",
               "publish.before_publish", "publish.before_record"}
    PERHAPS = {"block.sent", "kill"}

    def __init__(self, facts):
        self.f, self.found = facts, []

    def say(self, invariant, text, rows=()):
        rows = sorted(map(str, rows))
        if rows:
            text += f": {len(rows)}, {', '.join(rows[:5])}"
        self.found.append(f"{invariant}: {text}")

    def complaints(self):
        for name in sorted(n for n in dir(self) if n.startswith("check_")):
            getattr(self, name)()
        return self.found

    # what should be

    def of(self, type_, coupon=None):
        """Ids of the stored events of a type (with a coupon)."""
        return {i for i, t, *_ in self.f.events
                if t == type_ and (coupon is None or self.f.sent.get(i, {}).get("data", {}).get("coupon") == coupon)}

    def both(self, invariant, what, expected, found):
        """Two collections must hold the same things, each once."""
        found = collections.Counter(found)
        expected = set(expected)
        twice = {k for k, n in found.items() if n > 1}
        if expected - set(found):
            self.say(invariant, f"{what} missing", expected - set(found))
        if set(found) - expected:
            self.say(invariant, f"{what} out of nowhere", set(found) - expected)
        if twice:
            self.say(invariant, f"{what} twice", twice)

    # the invariants

    def check_1_events(self):
        f = self.f
        ids = [e[0] for e in f.events]
        self.found += f.wrong
        if f.must - set(ids):
            self.say("I1", "acknowledged and lost", f.must - set(ids))
        if set(ids) - set(f.sent):
            self.say("I1", "stored and never sent", set(ids) - set(f.sent))
        if len(ids) != len(set(ids)):
            self.say("I1", "stored twice", [i for i, n in collections.Counter(ids).items() if n > 1])
        if f.quarantined:
            self.say("I1", "good events quarantined", f.quarantined)
        if len({e[4] for e in f.events}) != len(f.events):
            self.say("I1", "two events have one number (seq)")

    def check_2_effects(self):
        f = self.f
        orders, carts, pages = self.of("order.placed"), self.of("cart.updated"), self.of("page.viewed")
        notes = {f"counts {i}" for i in orders} | {f"waits {i}" for i in carts} | {f"asks {i}" for i in pages}
        notes |= {f"told {i}" for rule, _, _, state, _, i, *_ in f.messages if rule == "mails" and state == "sent"}
        self.both("I2", "notes", notes, f.notes)
        self.both("I2", "tasks", {f"task {i}" for i in self.of("order.placed", "task")}, f.tasks)
        for rule, coupon in (("mails", "mail"), ("offers", "offer"), ("papers", "paper")):
            self.both("I2", f"messages of {rule}", self.of("order.placed", coupon),
                      [m[5] for m in f.messages if m[0] == rule])
        self.both("I2", "chains of waits", carts, [i for rule, _, i, *_ in f.ended if rule == "waits"])
        self.both("I2", "orders", {f.sent[i]["data"]["order_id"] for i in orders if i in f.sent}, [o[0] for o in f.orders])

    def check_2_cards(self):
        """Sums on the cards against a recount of the events."""
        f = self.f
        n, total = collections.Counter(), collections.Counter()
        for _, type_, customer, amount, _ in f.events:
            if type_ == "order.placed":
                n[customer] += 1
                total[customer] += amount
        # what rules have counted on two cards is not added when they turn out to be one person's
        joined = {c[1] for c in f.cards if c[1]}
        off = [f"card {c[0]} counted {c[2]} and {c[3]}, has {n[c[0]]}" for c in f.cards if not c[1] and
               (c[3] != n[c[0]] or c[2] > n[c[0]] or c[2] < n[c[0]] and c[0] not in joined)]
        if off:
            self.say("I2", "cards whose counts of orders (of a rule, their own) are not those of their events", off)
        off = [c[0] for c in f.cards if not c[1] and abs(c[4] - total[c[0]]) > 0.001]
        if off:
            self.say("I2", "cards whose sum of orders is not that of their events", off)
        if set(n) - {c[0] for c in f.cards if not c[1]}:
            self.say("I2", "events of no living card", set(n) - {c[0] for c in f.cards if not c[1]})
        emails = collections.Counter(c[5] for c in f.cards if not c[1] and c[5])
        if any(k > 1 for k in emails.values()):
            self.say("I2", "cards of one address", [e for e, k in emails.items() if k > 1])
        if f.orphans:
            self.say("I2", "things of a card that was joined", f.orphans)
        if f.suspended or f.strikes:
            self.say("I2", "rules suspended or struck without reason", f.suspended + f.strikes)

    def check_3_peers(self):
        """What arrived against what the rows say."""
        f = self.f
        mails = collections.Counter(m[0] for m in f.mails)
        papers = collections.Counter(f.papers)
        for rule, channel, class_, state, doubts, event, *_ in f.messages:
            arrived = papers[event] if channel == "publish" else mails[event]
            may = 1 + doubts if f.resend and class_ == "transactional" and channel == "email" else 1
            if arrived > may:
                self.say("I3", f"message of {rule} for {event} ({state}, {doubts} doubts) arrived {arrived} times")
            if state == "sent" and not arrived:
                self.say("I3", f"message of {rule} for {event} is sent and did not arrive")
            if state not in ("sent", "in_doubt") and arrived > doubts:
                self.say("I3", f"message of {rule} for {event} is {state} and arrived")
        known = {m[5] for m in f.messages}
        if (set(mails) | set(papers)) - known:
            self.say("I3", "arrived and not in the database", (set(mails) | set(papers)) - known)
        names = collections.defaultdict(set)
        for subject, message_id, *_ in f.mails:
            names[message_id].add(subject)
        if any(len(s) > 1 for s in names.values()) or len(names) != len(mails):
            self.say("I3", "a Message-ID is not that of one message")

    def check_3_doubts(self):
        """Each is explained by the death of a courier that held the message; one courier holds one at a time."""
        f = self.f
        for channel, kind in (("email", "mail"), ("publish", "publish")):
            rows = [m for m in f.messages if m[1] == channel]
            deaths = [(at, place) for at, name, place in f.deaths if name.startswith(kind)]
            doubts = sum(m[4] for m in rows)
            sure = sum(place in self.HOLDING for _, place in deaths)
            maybe = sum(place in self.PERHAPS for _, place in deaths)
            if not sure <= doubts <= sure + maybe:
                self.say("I3", f"{doubts} doubts ({channel}), but {sure} couriers died holding a message and {maybe} perhaps")
            doubtful = [m for m in rows if m[3] == "in_doubt"]
            owners = collections.Counter(m[7] for m in doubtful)
            if any(n > 1 for n in owners.values()):
                self.say("I3", f"two messages in doubt of one courier ({channel})")
            for m in doubtful:
                if m[4] == 0 or m[9] != "courier_gone":
                    self.say("I3", f"message {m[6]} is in doubt, {m[4]} doubts, code {m[9]}")
                if not any(m[8] - 0.05 <= at <= m[8] + 20 and place in self.HOLDING | self.PERHAPS
                           for at, place in deaths):
                    self.say("I3", f"message {m[6]} is in doubt and no courier died after it was claimed")
            for m in rows:
                again = f.resend and m[2] == "transactional" and channel == "email"
                if m[4] and m[3] != "in_doubt" and not again:
                    self.say("I3", f"message {m[6]} of {m[0]} was in doubt and is {m[3]}")
                if again and m[3] == "in_doubt" and m[4] < 2:
                    self.say("I3", f"message {m[6]} is in doubt and was not sent again")
                if m[3] not in ("sent", "in_doubt", "refused"):
                    self.say("I3", f"message {m[6]} ({m[0]} for {m[5]}) is {m[3]} at the end, code {m[9]}")
                if m[4] > 1 + again:
                    self.say("I3", f"message {m[6]} was in doubt {m[4]} times")

    def check_4_sending(self):
        if self.f.held:
            self.say("I4", "messages that nobody holds any more", self.f.held)

    def check_5_consent(self):
        f = self.f
        said_no = {i for i, e in f.sent.items() if e["data"].get("coupon") == "offer"
                   and e["data"]["customer"]["email"].startswith("no")}
        if said_no & {m[0] for m in f.mails}:
            self.say("I5", "offers to people who did not agree", said_no & {m[0] for m in f.mails})
        wrong = [m[6] for m in f.messages if m[0] == "offers" and (m[3] == "refused") != (m[5] in said_no)]
        if wrong:
            self.say("I5", "offers that were refused, or not, without reason", wrong)

    def check_6_chains(self):
        for rule, state, event, history, _ in self.f.ended:
            steps = [s[0] for part in json.loads(history or "[]") for s in part.get("s", [])]
            expected = {"waits": ["wait"], "mails": ["email", "wait"]}.get(rule)
            if state == "done" and expected and steps != expected:
                self.say("I6", f"chain of {rule} for {event} has the steps {steps}")
            if state != "done":
                self.say("I6", f"chain of {rule} for {event} has ended as {state}")
        left = [c for c in self.f.chains if c[2] not in self.f.doubtful]
        if left:
            self.say("I6", "chains that have not ended", left)

    def check_7_timers(self):
        early = [(e, took) for rule, _, e, _, took in self.f.ended if rule == "waits" and took < self.TIMER_S]
        if early:
            self.say("I7", "timers that fired early", early)

    def check_8_processes(self):
        if self.f.missing:
            self.say("I8", "not there", self.f.missing)

    def check_9_memory(self):
        big = [(n, size >> 20) for n, size in self.f.sizes if size > self.SIZE_MOST]
        if big:
            self.say("I9", "processes of more MiB than they may have", big)

    def check_10_logs(self):
        if self.f.log_lines:
            self.say("I10", "secrets in the logs", self.f.log_lines)


def check(facts):
    """Raises with all complaints; else says what there was."""
    complaints = Checker(facts).complaints()
    assert not complaints, "\n  ".join([f"{len(complaints)} complaints", *complaints[:20]])
    doubts = collections.Counter()
    for m in facts.messages:
        doubts[m[0]] += m[4]
    resent = sum(1 for m in facts.messages if m[4] and m[3] == "sent")
    return (f"{len(facts.events)} events, {len(facts.messages)} messages, {len(facts.ended)} chains, "
            f"{len(facts.deaths)} deaths, in doubt: {', '.join(f'{n} {r}' for r, n in sorted(doubts.items()))}, "
            f"{resent} of them sent again")


def spoil(facts, rng):
    """For each fault that the checker must see: (the invariant, its name, facts with that fault in them)."""

    def copied():
        return Facts(**{name: copy.copy(value) for name, value in vars(facts).items()})  # rows are never changed

    def message(f, test):
        return next(i for i, m in enumerate(f.messages) if test(m))

    def changed(row, at, value):
        return tuple(value if i == at else v for i, v in enumerate(row))

    def lose_event(f):
        f.events.remove(next(e for e in f.events if e[0] in f.must))

    def double_event(f):
        f.events.append(f.events[0])

    def lose_note(f):
        f.notes.pop(rng.randrange(len(f.notes)))

    def double_note(f):
        f.notes.append(rng.choice(f.notes))

    def double_mail(f):
        sure = {m[5] for m in f.messages if m[4] == 0}
        f.mails.append(next(m for m in f.mails if m[0] in sure))

    def double_offer(f):
        offers = {m[5] for m in f.messages if m[0] == "offers"}
        f.mails.append(next(m for m in f.mails if m[0] in offers))

    def lose_mail(f):
        sent = {m[5] for m in f.messages if m[3] == "sent"}
        f.mails.remove(next(m for m in f.mails if m[0] in sent))

    def lose_paper(f):
        f.papers.pop(rng.randrange(len(f.papers)))

    def double_paper(f):
        f.papers.append(rng.choice(f.papers))

    def double_task(f):
        f.tasks.append(rng.choice(f.tasks))

    def double_message(f):
        f.messages.append(f.messages[0])

    def wrong_sum(f):
        i = next(i for i, c in enumerate(f.cards) if c[3] and not c[1])
        f.cards[i] = changed(f.cards[i], 4, f.cards[i][4] + 1)

    def wrong_count(f):
        i = next(i for i, c in enumerate(f.cards) if c[2] and not c[1])
        f.cards[i] = changed(f.cards[i], 2, f.cards[i][2] + 1)

    def doubt_without_death(f):
        i = message(f, lambda m: m[1] == "email" and m[3] == "sent")
        f.messages[i] = changed(changed(changed(f.messages[i], 3, "in_doubt"), 4, 2), 9, "courier_gone")
        f.deaths.clear()

    def doubt_without_reason(f):
        i = message(f, lambda m: m[3] == "sent")
        f.messages[i] = changed(f.messages[i], 3, "in_doubt")

    def offer_sent_again(f):
        i = message(f, lambda m: m[0] == "offers" and m[3] == "sent" and m[4] == 0)
        f.messages[i] = changed(f.messages[i], 4, 1)
        f.deaths.append((f.messages[i][8] + 0.1, "mail1", "kill"))

    def held(f):
        f.held.append(1)

    def mail_without_consent(f):
        i = message(f, lambda m: m[0] == "offers" and m[3] == "refused")
        f.messages[i] = changed(f.messages[i], 3, "sent")
        f.mails.append((f.messages[i][5], "<new@x>", "z@x.test", False))

    def step_twice(f):
        i = next(i for i, c in enumerate(f.ended) if c[0] == "waits")
        parts = json.loads(f.ended[i][3])
        part = next(p for p in parts if p.get("s"))
        part["s"].append(part["s"][-1])
        f.ended[i] = changed(f.ended[i], 3, json.dumps(parts))

    def chain_stuck(f):
        f.chains.append(("waits", "stuck", "7"))

    def timer_early(f):
        i = next(i for i, c in enumerate(f.ended) if c[0] == "waits")
        f.ended[i] = changed(f.ended[i], 4, 0.9)

    def engine_gone(f):
        f.missing.append("engine1")

    def grown(f):
        f.sizes.append(("engine1", 1 << 30))

    def secret(f):
        f.log_lines.append("anna@x.test")

    def answered_twice(f):
        ledger = Ledger()
        event = {"id": "e0"}
        ledger.answered([event], ["accepted"])
        ledger.answered([event], ["accepted"])
        f.wrong += ledger.wrong

    for invariant, faults in {
            "I1": (lose_event, double_event, answered_twice),
            "I2": (lose_note, double_note, double_task, double_message, wrong_sum, wrong_count),
            "I3": (double_mail, double_offer, lose_mail, lose_paper, double_paper, doubt_without_death,
                   doubt_without_reason, offer_sent_again),
            "I4": (held,), "I5": (mail_without_consent,), "I6": (step_twice, chain_stuck), "I7": (timer_early,),
            "I8": (engine_gone,), "I9": (grown,), "I10": (secret,)}.items():
        for fault in faults:
            f = copied()
            fault(f)
            yield invariant, fault.__name__, f


def test(facts, rng):
    """The checker's own test: good facts pass, each fault in them is seen."""
    assert not Checker(facts).complaints()
    n = 0
    for invariant, name, spoiled in spoil(facts, rng):
        found = Checker(spoiled).complaints()
        assert any(c.startswith(f"{invariant}:") for c in found), f"the checker does not see {name}: {found}"
        n += 1
    return f"{n} faults put into good facts, all seen"
