"""The doors for people: health, api and unsubscribe (tests/api_run) over a real Postgres.

Rows are made by SQL; the engine behind the inbox is played by a thread that judges as engine/card_task
does.  The program is looked for in the build directory: $NUDGED_BUILD, else the current directory.
"""
import http.client
import json
import os
import signal
import subprocess
import threading
import time
from urllib.parse import quote

import pytest

import cluster

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(BUILD, "tests", "api_run")

pytestmark = pytest.mark.skipif(
    not os.path.exists(PROGRAM) or cluster.find_bin() is None,
    reason="tests/api_run is not built, or there is no Postgres")

ADMIN, BERLIN, PARIS, MOSCOW = "admin-token", "berlin-read", "paris-read", "moscow-read"
XSS = "<script>alert('x')</script>\" & \u202e\\"

# one tick is a second of July 2026
DATA = """
set search_path = nudged;
create sequence made_no start 500;
create function tick(n bigint) returns timestamptz language sql as
    $$ select date_trunc('month', now()) + make_interval(secs => n) $$;
insert into customer (id, base, email, phone, name, city, tags, consent, orders_count, orders_total,
    created_at, last_seen_at, merged_into, hidden) values
  (1, 'main', 'anna@example.com', '+4917612345678', $x$%(xss)s$x$, 'Köln', '["vip"]', '{"email":true}',
    2, 59.80, tick(0), tick(9), 0, false),
  (2, 'main', 'old@example.com', null, null, null, null, null, 0, 0, tick(0), null, 1, false),
  (3, 'east', 'anna@example.com', '+79991234567', 'Анна', null, null, null, 0, 0, tick(0), null, 0, false),
  (4, 'main', null, null, null, null, null, null, 0, 0, tick(0), null, 0, true);
insert into identity (value, kind, base, customer) values
  ('anna@example.com', 2, 'main', 1), ('+4917612345678', 3, 'main', 1), ('c-1/x', 1, 'main', 1),
  ('anna@example.com', 2, 'east', 3), ('+79991234567', 3, 'east', 3), ('77', 1, 'east', 3);
insert into orders (store, id, customer, number, status, total, placed_at, products) values
  ('berlin', 'o1', 1, 'N-1', 'paid', 29.90, tick(1), '[{"sku":"a"}]'),
  ('paris', 'o2', 1, 'N-2', 'new', 29.90, tick(2), '[]');
insert into event (received, store, source, id, content_hash, seq, customer, type, time, data, verdicts)
  select tick(n), case n %% 2 when 0 then 'berlin' else 'paris' end, 'web', 'e' || n, md5(n::text)::uuid,
    100 + n, 1, 'page.viewed', tick(n), json_build_object('n', n),
    '[{"rule":"welcome","v":"when","read":{"orders.total":12}}]' from generate_series(1, 30) n;
insert into chain (id, customer, store, rule, text_hash, level, state, started, wake_at, awaits) values
  (201, 1, 'berlin', 'welcome', 'h', 1, 'waiting', tick(3), tick(5000), '{order.placed,order.*}'),
  (202, 1, 'paris', 'cart', 'h', 1, 'stuck', tick(4), null, '{}'),
  (203, 3, 'moscow', 'welcome', 'h', 1, 'waiting', tick(4), null, '{}');
insert into chain_log (id, customer, store, rule, text_hash, level, state, started, ended, reason) values
  (190, 1, 'berlin', 'cart', 'h', 1, 'exited', tick(2), tick(6), 'order.placed');
insert into message (id, customer, chain, store, rule, channel, class, template, address, created, due,
    state, code, verdict) values
  (301, 1, 201, 'berlin', 'welcome', 'email', 'marketing', 'welcome', null, tick(3), tick(3), 'refused',
    'no_consent', '{"why":"no_consent"}'),
  (302, 1, 202, 'paris', 'cart', 'email', 'marketing', 'cart', 'm@example.com', tick(4), tick(4), 'sent',
    null, null),
  (303, 3, 203, 'moscow', 'welcome', 'publish', 'bulk', null, null, tick(4), tick(4), 'failed', '550', null);
insert into note (customer, at, rule, text, seq, chain) values
  (1, tick(7), 'welcome', 'first', 107, 201), (1, tick(7), 'welcome', 'second', 107, 201),
  (1, tick(8), 'cart', 'of paris', 0, 202);
insert into consent_log (customer, at, channel, given, source, seq) values
  (1, tick(2), 'email', true, 'customer.created', 102), (1, tick(2), 'sms', false, 'customer.created', 102);
insert into task (id, customer, chain, store, rule, title, manager, "group", results, created, deadline,
    overdue, state, taken_at, done_at) values
  (401, 1, 201, 'berlin', 'call', 'Call Anna', null, 'sales', '["ok","fraud"]', tick(5), tick(60), false,
    'open', null, null),
  (402, 1, 201, 'berlin', 'call', $x$%(xss)s$x$, 'bob', null, null, tick(6), tick(7), true, 'taken', tick(6), null),
  (403, 1, 202, 'paris', 'call', 'Call', 'eve', 'sales', null, tick(6), null, false, 'done', tick(6), tick(9)),
  (404, 3, 203, 'moscow', 'call', 'Call', 'bob', null, null, tick(6), null, false, 'open', null, null);
""" % {"xss": XSS.replace("%", "%%")}


class Engine(threading.Thread):
    """Judges inbox rows as the engine would."""

    def __init__(self, pg):
        super().__init__(daemon=True)
        import psycopg2
        self.db = psycopg2.connect(pg.dsn)
        self.on, self.ended, self.judged = True, False, []

    def run(self):
        while not self.ended:
            if self.on:
                self.turn()
            time.sleep(0.005)

    def turn(self):
        cur = self.db.cursor()
        cur.execute("set search_path = nudged; select clock_timestamp()")
        now = cur.fetchone()[0]
        cur.execute("select id, customer, store, type, data from inbox order by id for update")
        for row, customer, store, kind, data in cur.fetchall():
            cur.execute("insert into event (received, store, source, id, content_hash, seq, customer, type, "
                        "time, data) values (%s, %s, '', %s, md5(%s)::uuid, 100000 + %s, %s, %s, %s, %s)",
                        (now, store, f"inbox:{row}", f"inbox:{row}", row, customer, kind, now,
                         json.dumps(data)))
            if kind == "message.unsubscribed":
                cur.execute("""update customer set suppressed = '{"email":"unsubscribed"}' where id = %s""",
                            (customer,))
            elif kind.startswith("task."):
                state = kind[5:]
                cur.execute(
                    "update task set state = %s, manager = coalesce(%s, manager), result = %s, "
                    f"{'taken_at' if state == 'taken' else 'done_at'} = %s "
                    "where id = %s and customer = %s and state = any(%s)",
                    (state, data.get("manager"), data.get("result"), now, int(data["task_id"]), customer,
                     ["open"] if state == "taken" else ["open", "taken"]))
            cur.execute("delete from inbox where id = %s", (row,))
            self.judged.append((kind, data))
        self.db.commit()


class Run:
    """The program, and requests to it."""

    def __init__(self, dsn):
        self.process = subprocess.Popen([PROGRAM, "0", dsn], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split()[1])

    def ask(self, method, path, token=ADMIN, body=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        c.request(method, path, body, headers)
        r = c.getresponse()
        text = r.read()
        c.close()
        return r.status, r.headers, text

    def json(self, path, token=ADMIN, method="GET", body=None):
        status, headers, text = self.ask(method, path, token, json.dumps(body) if body is not None else None)
        assert headers["Content-Type"] == "application/json", text
        return status, json.loads(text)

    def get(self, path, token=ADMIN):
        status, answer = self.json(path, token)
        assert status == 200, answer
        return answer

    def post(self, path, body=None, token=ADMIN):
        return self.json(path, token, "POST", body)

    def pages(self, path, name, limit):
        """All pages of a list."""
        found, after, pages = [], "", 0
        while after is not None:
            page = self.get(f"{path}{'&' if '?' in path else '?'}limit={limit}"
                            f"{'&after=' + after if after else ''}")
            assert len(page[name]) <= limit
            found += page[name]
            after = page["next"]
            pages += 1
        return found, pages

    def wait_ready(self):
        for _ in range(200):
            if self.ask("GET", "/readyz", None)[0] == 200 and b'"paused":[' in self.ask("GET", "/readyz", None)[2]:
                return self
            time.sleep(0.05)
        raise AssertionError(self.ask("GET", "/readyz", None)[2])

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            _, log = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert self.process.returncode == 0, log.decode()
        return log.decode()


@pytest.fixture(scope="module")
def pg():
    with cluster.Postgres() as made:
        migrate(made)
        made.psql(DATA)
        yield made


def migrate(pg):
    """The schema with its version, as `nudgectl migrate` leaves it."""
    pg.psql("create schema nudged; create table nudged.schema_version (version int primary key, "
            "compatible int not null, applied timestamptz not null default clock_timestamp())")
    names = sorted(os.listdir(os.path.join(ROOT, "sql")))
    for name in names:
        with open(os.path.join(ROOT, "sql", name), encoding="utf-8") as file:
            pg.psql("set search_path = nudged, pg_catalog;" + file.read())
    pg.psql(f"insert into nudged.schema_version (version, compatible) values ({len(names)}, 1)")


@pytest.fixture(scope="module")
def run(pg):
    r = Run(pg.dsn).wait_ready()
    yield r
    log = r.stop()
    assert "anna@example.com" not in log and "+4917612345678" not in log


@pytest.fixture
def engine(pg):
    e = Engine(pg)
    e.start()
    yield e
    e.ended = True
    e.join()
    e.db.close()


@pytest.fixture
def task(pg):
    """Makes an open task of Anna's; gives its number."""
    def make(results="null"):
        return pg.value("insert into nudged.task (id, customer, chain, store, rule, title, results, created, state) "
                        f"values (nextval('nudged.made_no'), 1, 0, 'berlin', 'call', 'made', {results}, now(), "
                        "'open') returning id")
    yield make
    pg.psql("delete from nudged.task where title = 'made'; delete from nudged.inbox")


# ---- health ----

def test_healthz_and_livez_need_no_token(run):
    for path in ("/healthz", "/livez"):
        status, _, text = run.ask("GET", path, None)
        assert (status, json.loads(text)) == (200, {"alive": True})
    assert run.ask("HEAD", "/healthz", None)[0] == 200


def test_readyz_says_what_an_operator_must_know(run, pg):
    ready = run.get("/readyz", None)
    assert ready == {"ready": True, "reasons": [], "draining": False, "unsafe_durability": False,
                     "clocks_disagree": False, "partitions_until": "2026-01-01T00:00:00Z", "rule_set": "7",
                     "paused": []}
    pg.psql("insert into nudged.pause (scope, by, reason) values ('channel:email', 'bob', 'too \"many\"')")
    paused = run.get("/readyz", None)["paused"]
    pg.psql("delete from nudged.pause")
    assert paused[0]["scope"] == "channel:email" and paused[0]["reason"] == 'too "many"'
    assert "bob" not in json.dumps(paused)


def test_readyz_503_with_reasons(run):
    run.process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    status, answer = run.json("/readyz", None)
    run.process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    assert status == 503 and answer["ready"] is False and answer["rule_set"] is None
    assert answer["reasons"] == ['no rule set is "loaded"']
    assert run.json("/readyz", None)[0] == 200


# ---- who may ask (P20) ----

@pytest.mark.parametrize("path", ["/tasks", "/tasks/401", "/customers/1", "/customers/1/timeline", "/chains",
                                  "/messages"])
def test_p20_tokens(run, path):
    for token in (None, "nobody", "admin-toke", "admin-token2"):
        status, answer = run.json(path, token)
        assert status == 401 and set(answer) == {"error", "hint"}, token
    assert run.json(path, "berlin-post")[0] == 403
    assert run.json(path, BERLIN)[0] == 200
    assert run.json(path, ADMIN)[0] == 200


def test_p20_only_the_admin_changes(run, pg):
    for token, want in ((None, 401), ("nobody", 401), (BERLIN, 403), ("berlin-post", 403)):
        assert run.post("/tasks/401/take", {}, token)[0] == want
    assert pg.value("select count(*) from nudged.inbox") == "0"
    assert pg.value("select count(*) from nudged.audit") == "0"


def test_p20_a_store_sees_its_own_data_only(run):
    assert {t["store"] for t in run.get("/tasks", BERLIN)["tasks"]} == {"berlin"}
    assert {c["id"] for c in run.get("/chains", PARIS)["chains"]} == {"202"}
    assert {m["id"] for m in run.get("/messages", MOSCOW)["messages"]} == {"303"}
    assert run.json("/tasks/403", BERLIN)[0] == 404
    assert run.json("/tasks/403", PARIS)[0] == 200
    # the card is of the base; what hangs on it is of the stores
    assert [o["id"] for o in run.get("/customers/1", BERLIN)["orders"]] == ["o1"]
    assert run.json("/customers/1", MOSCOW)[0] == 404
    assert run.json("/customers/3", BERLIN)[0] == 404
    assert run.json("/customers/3?base=east", BERLIN)[0] == 404
    line = run.get("/customers/1/timeline?limit=200", PARIS)["timeline"]
    assert {e.get("store", "paris") for e in line} == {"paris"}
    assert "of paris" in [e["text"] for e in line if e["what"] == "note"]
    assert not [e for e in line if e["what"] == "consent"]  # the event was of berlin


# ---- lists ----

def test_tasks_filters(run):
    def ids(query, token=ADMIN):
        return [t["id"] for t in run.get("/tasks" + query, token)["tasks"]]
    assert ids("") == ["404", "403", "402", "401"]
    assert ids("?state=open") == ["404", "401"]
    assert ids("?state=taken") == ["402"]
    assert ids("?state=done") == ["403"]
    assert ids("?state=overdue") == ["402"]
    assert ids("?manager=bob") == ["404", "402"]
    assert ids("?manager=bob&state=open") == ["404"]
    assert ids("?group=sales") == ["403", "401"]
    assert ids("?customer=1") == ["403", "402", "401"]
    assert ids("?customer=1&state=open") == ["401"]
    assert ids("?customer=anna%40example.com&base=east") == ["404"]
    assert run.json("/tasks?customer=99")[0] == 404


def test_a_task_in_full(run):
    t = run.get("/tasks/401")
    assert t["id"] == "401" and t["customer"] == "1" and t["chain"] == "201"
    assert t["results"] == ["ok", "fraud"] and t["manager"] is None and t["overdue"] is False
    assert t["deadline"].endswith("T00:01:00Z")
    assert run.json("/tasks/9999")[0] == 404
    assert run.json("/tasks/x")[0] == 404


def test_text_of_customers_stays_text(run):
    assert run.get("/tasks/402")["title"] == XSS
    assert run.get("/customers/1")["name"] == XSS
    assert run.ask("GET", "/customers/1")[1]["Content-Type"] == "application/json"


def test_messages_and_chains_filters(run):
    def ids(what, query):
        return [m["id"] for m in run.get(f"/{what}{query}")[what]]
    assert ids("messages", "") == ["303", "302", "301"]
    assert ids("messages", "?state=refused") == ["301"]
    assert ids("messages", "?channel=publish") == ["303"]
    assert ids("messages", "?rule=welcome&customer=1") == ["301"]
    assert run.get("/messages?state=refused")["messages"][0]["verdict"] == {"why": "no_consent"}
    assert ids("chains", "") == ["203", "202", "201"]
    assert ids("chains", "?rule=welcome") == ["203", "201"]
    assert ids("chains", "?state=stuck") == ["202"]
    assert ids("chains", "?customer=1") == ["202", "201", "190"]
    assert ids("chains", "?customer=1&state=exited") == ["190"]
    assert run.get("/chains?state=stuck")["chains"][0]["awaits"] == []
    assert run.get("/chains?rule=welcome")["chains"][1]["awaits"] == ["order.placed", "order.*"]


@pytest.mark.parametrize("query, path", [
    ("/tasks?limit=0", "limit"), ("/tasks?limit=201", "limit"), ("/tasks?limit=x", "limit"),
    ("/tasks?after=x", "after"), ("/tasks?after=-1", "after"), ("/tasks?state=lost", "state"),
    ("/messages?state=open", "state"), ("/chains?state=done", "state"),
    ("/customers/anna%40example.com", "base"), ("/customers/1?base=north", "base"),
    ("/customers/1/timeline?after=1.2", "after"), ("/customers/1/timeline?after=1.99.1", "after"),
    ("/customers/1/timeline?limit=1000", "limit")])
def test_wrong_parameters_are_named(run, query, path):
    status, answer = run.json(query)
    assert status == 400 and answer["path"] == path and answer["error"]


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
def test_pages_bring_everything_once(run, limit):
    for what, query in (("tasks", ""), ("messages", ""), ("chains", ""), ("chains", "?customer=1")):
        found, _ = run.pages(f"/{what}{query}", what, limit)
        ids = [int(x["id"]) for x in found]
        assert ids == sorted(set(ids), reverse=True) and len(ids) in (3, 4)


def test_a_filter_reads_ten_thousand_rows_at_a_time(run, pg):
    pg.psql("insert into nudged.message (id, customer, chain, store, rule, channel, class, created, due, state) "
            "select 100000 + n, 3, 0, 'moscow', 'bulk', 'email', 'bulk', now(), now(), 'sent' "
            "from generate_series(1, 25000) n")
    try:
        found, pages = run.pages("/messages?state=refused", "messages", 50)
        assert [m["id"] for m in found] == ["301"] and pages == 3
    finally:
        pg.psql("delete from nudged.message where rule = 'bulk'")


# ---- cards ----

@pytest.mark.parametrize("key", ["1", "2", "anna@example.com?base=main", "ANNA%40Example.com?base=main",
                                 "+4917612345678?base=main", "phone:0176%2012345678?base=main",
                                 "email:anna@example.com?base=main", "id:c-1%2Fx?base=main"])
def test_a_card_is_found_by_any_key(run, key):
    card = run.get(f"/customers/{key}")
    assert card["id"] == "1" and card["base"] == "main"
    assert {"kind": "id", "value": "c-1/x"} in card["identities"] and len(card["identities"]) == 3
    assert card["tags"] == ["vip"] and card["orders_total"] == 59.8 and card["city"] == "Köln"
    assert [o["id"] for o in card["orders"]] == ["o2", "o1"] and card["orders"][0]["total"] == 29.9
    assert "merged_into" not in card and "spend" not in card


def test_keys_that_are_none_and_customers_that_are_not_there(run):
    for key in ("0", "99", "id:none?base=main", "nobody%40example.com?base=main", "+4915112345678?base=main"):
        assert run.json(f"/customers/{key}")[0] in (400, 404), key
    assert run.json("/customers/99")[0] == 404
    assert run.json("/customers/anna")[0] == 400
    for path in ("/customers/", "/customers/1/x", "/customers/1/timeline/x"):
        assert run.json(path)[0] == 404
    assert run.json("/customers/77?base=east")[0] == 404  # our number, not the store's
    assert run.get("/customers/id:77?base=east")["id"] == "3"
    assert run.get("/customers/77?base=east".replace("77", "3"))["id"] == "3"
    assert run.json("/customers/%00%ff%c3?base=main")[0] == 400
    assert run.json("/customers/1'%3b%20drop%20table%20x--@?base=main")[0] == 404


def test_timeline_in_order_of_time(run):
    line = run.get("/customers/1/timeline?limit=200")
    entries = line["timeline"]
    assert line["customer"] == "1" and line["next"] is None
    assert [e["at"] for e in entries] == sorted(e["at"] for e in entries)
    count = {}
    for e in entries:
        count[e["what"]] = count.get(e["what"], 0) + 1
    assert {k: count[k] for k in ("chain", "chain_end", "note", "message", "task")} == {
        "chain": 3, "chain_end": 1, "note": 3, "message": 2, "task": 3}
    assert count["event"] >= 30 and count["consent"] >= 2
    first = entries[0]
    assert first["what"] == "event" and first["type"] == "page.viewed" and first["from"] == "door"
    assert first["verdicts"][0]["v"] == "when" and first["data"] == {"n": 1}
    assert [e["text"] for e in entries if e["what"] == "note"] == ["first", "second", "of paris"]


@pytest.mark.parametrize("limit", [1, 7, 50])
def test_timeline_pages_bring_everything_once(run, limit):
    whole = run.get("/customers/1/timeline?limit=200")["timeline"]
    paged, pages = run.pages("/customers/1/timeline", "timeline", limit)
    assert paged == whole and pages == -(-len(whole) // limit)


# ---- what people do with tasks ----

def test_take_and_done(run, pg, engine, task):
    number = task()
    status, t = run.post(f"/tasks/{number}/take", {"manager": "bob"})
    assert (status, t["state"], t["manager"]) == (200, "taken", "bob")
    status, answer = run.post(f"/tasks/{number}/take", {"manager": "eve"})
    assert status == 409 and "taken by bob" in answer["error"]
    status, t = run.post(f"/tasks/{number}/done", {"manager": "bob", "result": "ok"})
    assert (status, t["state"], t["result"]) == (200, "done", "ok")
    assert run.post(f"/tasks/{number}/done")[0] == 409
    assert run.post(f"/tasks/{number}/cancel")[0] == 409
    assert engine.judged[0] == ("task.taken", {"by": "api", "manager": "bob", "task_id": number})
    assert pg.psql(f"select by, action, host, detail ->> 'manager' from nudged.audit where object = 'task/{number}' "
                   "order by n") == [["bob", "task.taken", "127.0.0.1", "bob"], ["bob", "task.done", "127.0.0.1", "bob"]]
    assert pg.value("select count(*) from nudged.inbox") == "0"


def test_cancel_without_a_body_is_the_admins(run, pg, engine, task):
    number = task()
    assert run.post(f"/tasks/{number}/cancel")[1]["state"] == "cancelled"
    assert pg.value(f"select by from nudged.audit where object = 'task/{number}'") == "admin"


def test_results_are_those_to_choose_from(run, pg, engine, task):
    number = task("'[\"ok\",\"fraud\"]'")
    status, answer = run.post(f"/tasks/{number}/done", {"result": "maybe"})
    assert status == 400 and answer["path"] == "$.result" and "fraud" in answer["hint"]
    assert pg.value("select count(*) from nudged.inbox") == "0"
    assert run.post(f"/tasks/{number}/done", {"result": "fraud"})[1]["result"] == "fraud"


@pytest.mark.parametrize("body, path", [
    ('{"manager":1}', "$.manager"), ('{"result":["a"]}', "$.result"), ('{"mangaer":"bob"}', "$"), ("[]", "$"),
    ('{"manager":"bob"', "$"), ('{"manager":"a","manager":"b"}', "$.manager"), ('{} {}', "$"),
    ('{"manager":"%s"}' % ("x" * 201), "$.manager")])
def test_wrong_bodies_are_named(run, pg, body, path):
    status, _, text = run.ask("POST", "/tasks/401/take", ADMIN, body)
    assert status == 400 and json.loads(text)["path"].startswith(path[:1]), text
    assert pg.value("select count(*) from nudged.inbox") == "0"


def test_wrong_paths_and_methods(run):
    assert run.post("/tasks/401/eat")[0] == 404
    assert run.post("/tasks/401")[0] == 404
    assert run.post("/tasks/99999/take")[0] == 404
    assert run.ask("DELETE", "/tasks/401")[0] == 405
    assert run.ask("POST", "/tasks")[0] == 405


def test_p17_two_managers_at_once_one_wins(run, pg, engine, task):
    for _ in range(5):
        number = task()
        engine.on = False
        time.sleep(0.05)
        answers = {}

        def press(who, number=number, answers=answers):
            answers[who] = run.post(f"/tasks/{number}/take", {"manager": who})
        threads = [threading.Thread(target=press, args=(who,)) for who in ("bob", "eve", "kim")]
        for t in threads:
            t.start()
        while pg.value("select count(*) from nudged.inbox") != "3":
            time.sleep(0.01)
        engine.on = True  # all in one batch, with one time
        for t in threads:
            t.join()
        winners = [who for who, (status, _) in answers.items() if status == 200]
        assert len(winners) == 1 and sorted(s for s, _ in answers.values()) == [200, 409, 409]
        assert pg.value(f"select manager from nudged.task where id = {number}") == winners[0]


def test_not_judged_in_time_is_503_and_judged_later(run, pg, task):
    number = task()
    began = time.monotonic()
    status, headers, text = run.ask("POST", f"/tasks/{number}/take", ADMIN, "{}")
    assert status == 503 and 1.8 < time.monotonic() - began < 3 and headers["Retry-After"]
    assert "noted" in json.loads(text)["error"]
    assert pg.value("select count(*) from nudged.inbox") == "1"


def test_too_many_questions_are_503_at_once(run, pg, task):
    number = task()
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(run.ask("POST", f"/tasks/{number}/take")[0]))
               for _ in range(8)]
    for t in threads:
        t.start()
    time.sleep(0.5)
    began = time.monotonic()
    status, _, text = run.ask("GET", "/tasks")
    assert status == 503 and b"too many" in text and time.monotonic() - began < 0.5
    assert run.ask("GET", "/healthz", None)[0] == 200 and run.json("/readyz", None)[1]["paused"] is None
    for t in threads:
        t.join()
    assert set(answers) == {503}
    assert run.ask("GET", "/tasks")[0] == 200


def test_the_flow_is_poked(pg, task):
    r = Run(pg.dsn).wait_ready()
    number = task()
    e = Engine(pg)
    e.start()
    assert r.post(f"/tasks/{number}/take")[0] == 200
    e.ended = True
    e.join()
    e.db.close()
    r.process.send_signal(signal.SIGTERM)
    out, _ = r.process.communicate(timeout=10)
    assert out.decode().split() == ["poke"]


# ---- unsubscribe ----

KEY = "a key of thirty-two bytes or more!"


def token(message=301, customer=1, shop="berlin", key=KEY):
    return subprocess.run([PROGRAM, "token", str(message), str(customer), shop, key], stdout=subprocess.PIPE,
                          check=True, text=True).stdout.strip()


@pytest.fixture
def subscribed(pg):
    yield
    pg.psql("update nudged.customer set suppressed = null; delete from nudged.inbox")


def suppressed(pg, customer=1):
    return pg.value(f"select suppressed ->> 'email' from nudged.customer where id = {customer}")


def test_get_shows_a_button_and_changes_nothing(run, pg, engine, subscribed):
    for method in ("GET", "HEAD", "GET"):
        status, headers, text = run.ask(method, f"/u/{token()}", None)
        assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    page = text.decode()
    assert '<form method="post">' in page and "Abmelden" in page and '<html lang="de">' in page
    assert "<script" not in page and "http" not in page
    time.sleep(0.1)
    assert pg.value("select count(*) from nudged.inbox") == "0" and not engine.judged
    assert not suppressed(pg)


def test_names_are_escaped_on_the_page(run):
    page = run.ask("GET", f"/u/{token()}", None)[2].decode()
    assert "Blüten &amp; &lt;b&gt;Mehr&lt;/b&gt;" in page and "<b>" not in page and "berlin.example" not in page


@pytest.mark.parametrize("shop, customer, lang, word", [
    ("berlin", 1, "de", "Sie sind abgemeldet"), ("moscow", 3, "ru", "Вы отписаны"),
    ("paris", 1, "en", "You are unsubscribed")])
def test_p15_post_unsubscribes_at_once(run, pg, engine, subscribed, shop, customer, lang, word):
    t = token(301, customer, shop)
    status, _, text = run.ask("POST", f"/u/{t}", None, "List-Unsubscribe=One-Click",
                              {"Content-Type": "application/x-www-form-urlencoded"})
    assert status == 200 and word in text.decode() and f'<html lang="{lang}">' in text.decode()
    assert suppressed(pg, customer) == "unsubscribed"  # at the moment of the answer
    assert engine.judged == [("message.unsubscribed", {"channel": "email", "message_id": "301"})]
    # again: the same answer, nothing new
    assert run.ask("POST", f"/u/{t}", None)[0] == 200
    assert len(engine.judged) == 1


def test_the_card_that_took_the_other_over_is_unsubscribed(run, pg, engine, subscribed):
    assert run.ask("POST", f"/u/{token(301, 2)}", None)[0] == 200
    assert suppressed(pg, 1) == "unsubscribed" and not suppressed(pg, 2)


def test_a_customer_who_is_gone_hears_the_same(run, engine):
    assert run.ask("POST", f"/u/{token(301, 12345)}", None)[0] == 200
    assert not engine.judged


def test_invalid_tokens_are_a_page_that_says_what_to_do(run, pg):
    good = token()
    bad = [good[:-1], good + "x", "x" + good[1:], token(key="another key of thirty-two bytes!!"),
           token(shop="closed"), "", "x", "..%2f..", good.split(".")[0], good.upper(), "%3Cscript%3E"]
    for t in bad:
        for method in ("GET", "POST"):
            status, headers, text = run.ask(method, f"/u/{t}", None, headers={"Accept-Language": "ru-RU,en"})
            assert status == 404 and headers["Content-Type"].startswith("text/html"), t
            assert "скопируйте" in text.decode() and "script" not in text.decode()
    assert "copy all of it" in run.ask("GET", "/u/x", None)[2].decode()
    assert pg.value("select count(*) from nudged.inbox") == "0"
    assert run.ask("PUT", f"/u/{good}", None)[0] == 405


def test_not_judged_is_a_page_that_says_try_again(run, pg, subscribed):
    status, headers, text = run.ask("POST", f"/u/{token()}", None)
    assert status == 503 and headers["Retry-After"] and "Minute" in text.decode()
    assert pg.value("select count(*) from nudged.inbox") == "1"  # and it is noted all the same


# ---- nudgectl why ----

NUDGECTL = os.path.join(BUILD, "nudgectl")


@pytest.fixture
def why(pg, tmp_path):
    if not os.path.exists(NUDGECTL):
        pytest.skip("nudgectl is not built")
    conf = tmp_path / "nudged.conf"
    conf.write_text(f"[nudged]\nstate_dir = {tmp_path}\n[database]\ndsn = {pg.dsn}\n"
                    "[store berlin]\nbase = main\ncountry = DE\nfrom = s@berlin.example\n"
                    "[store moscow]\nbase = east\ncountry = RU\nfrom = s@moscow.example\n")

    def ask(*args):
        done = subprocess.run([NUDGECTL, "--config", conf, "why", *args], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, text=True)
        return done.returncode, done.stdout, done.stderr
    return ask


def test_why_tells_the_story_in_order(why, pg):
    pg.psql("insert into nudged.note (customer, at, rule, text, seq, chain) values "
            "(3, now(), 'x', E'bell \\x07 escape \\x1b[2J line\\nend', 0, 0)")
    code, out, err = why("Anna@example.com", "--store", "berlin")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("customer 1 of main, <script>") and "anna@example.com" in lines[0]
    times = [line[:19] for line in lines if line[:2] == "20"]
    assert times == sorted(times) and len(times) > 40
    text = " ".join(out.split())
    for want in ("welcome: when; read orders.total = 12", "chain cart ended, chain 190: exited, order.placed",
                 'marketing email "welcome" by welcome, message 301; it is refused (no_consent)',
                 "note first (welcome)", "consent sms withdrawn by customer.created",
                 '"Call Anna", task 401 by call for group sales, until'):
        assert want in text, want
    code, out, _ = why("3", "--store", "moscow")
    assert code == 0 and "bell \\x07 escape \\x1b[2J line\\x0aend" in out and "\x1b" not in out


def test_why_of_one_rule(why):
    code, out, _ = why("id:c-1/x", "cart", "--store", "berlin")
    assert code == 1  # keys are read as those of events: the id alone
    code, out, _ = why("c-1/x", "cart", "--store", "berlin")
    assert code == 0 and "welcome" not in out and "cart started, chain 202" in out and "page.viewed" not in out
    assert "has not met" in why("c-1/x", "nothing", "--store", "berlin")[1]
    assert why("c-1/x", "--store", "berlin", "--since", "2100-01-01T00:00:00Z")[1].count("\n") == 2


def test_why_says_what_is_wrong(why):
    assert why()[0] == 2
    code, _, err = why("1")
    assert code == 1 and "--store" in err
    code, _, err = why("nobody@example.com", "--store", "berlin")
    assert code == 1 and "no customer" in err


# ---- without a database (P5) ----

def test_p5_no_database_is_503_and_it_comes_back():
    with cluster.Postgres() as pg:
        migrate(pg)
        r = Run(pg.dsn).wait_ready()
        try:
            pg.stop("immediate")
            for path in ("/tasks", "/customers/1", "/chains"):
                began = time.monotonic()
                status, headers, _ = r.ask("GET", path)
                assert status == 503 and headers["Retry-After"] and time.monotonic() - began < 2
            assert r.ask("GET", "/healthz", None)[0] == 200
            status, headers, text = r.ask("POST", f"/u/{token()}", None)
            assert status == 503 and headers["Retry-After"] and b"<html" in text
            assert r.ask("GET", f"/u/{token()}", None)[0] == 200
            pg.start()
            r.wait_ready()
            assert r.get("/tasks")["tasks"] == []
            # somebody holds the table: the answer comes in time all the same
            import psycopg2
            holder = psycopg2.connect(pg.dsn)
            holder.cursor().execute("lock table nudged.task in access exclusive mode")
            began = time.monotonic()
            assert r.ask("GET", "/tasks")[0] == 503 and time.monotonic() - began < 3
            holder.close()
            r.wait_ready()
            assert r.get("/tasks")["tasks"] == []
        finally:
            r.stop()
