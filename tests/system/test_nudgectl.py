"""nudgectl against a real Postgres: migrate, reload, stop buttons, chains, suspended rules, import.

Runs the nudgectl of $NUDGED_BUILD (default: the current directory).
"""

import json
import os
import shutil
import subprocess
import threading
import time

import pytest

from cluster import Postgres, find_bin

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
NUDGECTL = os.path.join(BUILD, "nudgectl")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEWEST = max(int(name[:3]) for name in os.listdir(os.path.join(SOURCE, "sql")) if name[:3].isdigit())

pytestmark = [
    pytest.mark.skipif(not os.path.exists(NUDGECTL), reason="no nudgectl in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None, reason="no Postgres server is installed"),
]

GOOD_RULE = '''rule "greet" {
	about = "greets who is new",
	on = "customer.created",
	run = function(e) note("hello") end,
}
'''
GOOD_TEMPLATE = "<title>Hello {{ customer.first_name | default: 'you' }}</title><p>Dear {{ customer.name }}!</p>"


@pytest.fixture(scope="module")
def pg():
    with Postgres() as cluster:
        yield cluster


class Ctl:
    """A directory with configuration, rules and templates, and a database of its own."""

    def __init__(self, pg, tmp_path, name):
        self.pg, self.dir, self.database = pg, tmp_path, name
        pg.psql(f"create database {name}", database="postgres")
        self.rules, self.templates = tmp_path / "rules", tmp_path / "templates"
        self.rules.mkdir()
        self.templates.mkdir()
        self.write_rule(GOOD_RULE)
        (self.templates / "hello.en.html").write_text(GOOD_TEMPLATE)
        self.conf = tmp_path / "nudged.conf"
        self.conf.write_text("\n".join([
            "[nudged]", f"rules = {self.rules}", f"templates = {self.templates}",
            f"state_dir = {tmp_path}",
            "[database]", "dsn = " + pg.dsn.replace(f"dbname={pg.database}", f"dbname={name}"),
            "[store shop]", "zone = Europe/Berlin", "country = DE", "from = shop@example.com", ""]))

    def write_rule(self, text, name="greet.lua"):
        (self.rules / name).write_text(text)

    def run(self, *args, code=0, stdin=None):
        """Runs it; the lines of stdout, or with code != 0 of both."""
        done = subprocess.run([NUDGECTL, "--config", str(self.conf), *args], timeout=60, check=False,
                              env=dict(os.environ, NUDGED_SQL_DIR=os.path.join(SOURCE, "sql")),
                              input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.err = done.stderr
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout

    def psql(self, sql):
        return self.pg.psql("set search_path = nudged;" + sql, database=self.database)

    def value(self, sql):
        rows = self.psql(sql)
        return rows[0][0] if rows else None

    def customer(self, number):
        self.psql(f"insert into customer (id, base, email) values ({number}, 'shop', 'c{number}@example.com')")

    def message(self, number, customer, rule="greet", channel="email", state="ready", chain=0,
                due="now() - interval '1 minute'"):
        self.psql("insert into message (id, customer, chain, store, rule, channel, class, created, due, state) "
                  f"values ({number}, {customer}, {chain}, 'shop', '{rule}', '{channel}', 'marketing', "
                  f"now(), {due}, '{state}')")

    def chain(self, number, customer, state="waiting", rule="greet", key="", wake="now() + interval '1 day'"):
        self.psql("insert into chain (id, customer, store, rule, key, text_hash, level, state, started, wake_at, "
                  "reason) "
                  f"values ({number}, {customer}, 'shop', '{rule}', '{key}', 'h', 1, '{state}', now(), {wake}, 'why')")


@pytest.fixture
def empty(pg, tmp_path, request):
    """Before the schema is made."""
    name = "n" + str(abs(hash(request.node.name)))
    yield Ctl(pg, tmp_path, name)
    pg.psql(f"drop database {name} with (force)", database="postgres")


@pytest.fixture
def ctl(empty):
    empty.run("migrate")
    return empty


def test_migrate_makes_the_schema_and_then_does_nothing(empty):
    out = empty.run("migrate").splitlines()
    assert len(out) == NEWEST and all(line.startswith("applied ") for line in out)
    assert empty.run("migrate") == "the schema is up to date\n"
    assert empty.value("select max(version) from schema_version") == str(NEWEST)


def test_newer_schema_is_refused(ctl):
    ctl.psql("insert into schema_version (version, compatible, name) values (999, 999, '999_far.sql')")
    ctl.run("migrate", code=1)
    assert "schema version 999, newer than this program's" in ctl.err and "hint: " in ctl.err
    ctl.run("pauses", code=1)
    assert "install the newer program" in ctl.err


def test_without_schema_says_what_to_do(empty):
    empty.run("status", code=1)
    assert "run nudgectl migrate" in empty.err


def test_wrong_arguments_and_no_database(empty):
    for args in (["nonsense"], ["pause", "channel"], ["pause", "channel", "pigeon"], ["resume", "--sideways"],
                 ["resume", "channel", "email", "--restored-at", "now"], ["rules", "resume"],
                 ["chains", "a", "b"], ["migrate", "twice"], ["reload", "now"]):
        empty.run(*args, code=2)
        assert "usage: " in empty.err
    empty.conf.write_text("[database]\ndsn = host=/nowhere/at/all\n")
    empty.run("pauses", code=1)
    assert "could not connect to the database" in empty.err


def test_reload_puts_the_set_in_place_once(ctl):
    assert "rule set 1 is current now" in ctl.run("reload")
    assert ctl.value("select set_id from current") == "1"
    assert ctl.value("select count(*) from rule_set_text") == "1"
    assert ctl.psql("select name, lang from rule_set_template") == [["hello", "en"]]
    assert ctl.value("select path from rule_text") == "greet.lua"
    assert ctl.value("select count(*) from audit where action = 'rules activate' and object = '1'") == "1"
    assert "rule set 1 is current already" in ctl.run("reload")
    assert ctl.value("select count(*) from rule_set") == "1"

    ctl.write_rule(GOOD_RULE + "\n-- another text\n")
    assert "rule set 2 is current now" in ctl.run("reload")
    ctl.write_rule(GOOD_RULE)
    assert "rule set 3 is current now" in ctl.run("reload")
    assert ctl.value("select count(*) from rule_text") == "2", "texts are kept once"
    assert "rule set 3" in ctl.run("status")


def test_reload_of_another_host_is_not_taken_for_ours(ctl):
    ctl.run("reload")
    ctl.psql("update rule_set set host = 'other'")
    assert "rule set 2 is current now" in ctl.run("reload")


def test_P9_bad_reload_changes_nothing_and_says_where(ctl):
    ctl.run("reload")
    before = ctl.psql("select * from current") + ctl.psql("select hash from rule_text")
    (ctl.templates / "hello.en.html").write_text("<title>Hi</title>\n{{ customer.name | monney }}\n")
    ctl.run("reload", code=1)
    assert "hello.en.html:2:" in ctl.err and "nothing was changed" in ctl.err
    (ctl.templates / "hello.en.html").write_text(GOOD_TEMPLATE)
    ctl.write_rule(GOOD_RULE.replace("customer.created", "customer.created\"\"", 1))
    ctl.run("reload", code=1)
    assert "greet.lua:" in ctl.err
    assert ctl.psql("select * from current") + ctl.psql("select hash from rule_text") == before
    assert ctl.value("select count(*) from rule_set") == "1"


def test_P23_pause_and_resume_are_rows(ctl):
    assert ctl.run("pauses") == "nothing is paused\n"
    assert "all is paused" in ctl.run("pause", "--reason", "wrong prices")
    assert "channel:email is paused" in ctl.run("pause", "channel", "email")
    assert "rule:greet is paused" in ctl.run("pause", "rule", "greet")
    assert "was paused already" in ctl.run("pause", "all")
    assert ctl.psql("select scope, reason from pause order by scope") == [
        ["all", "wrong prices"], ["channel:email", ""], ["rule:greet", ""]]
    shown = ctl.run("pauses")
    assert "wrong prices" in shown and "rule:greet" in shown and "rule:greet" in ctl.run("status")
    assert "all goes on" in ctl.run("resume")
    ctl.run("resume", "channel", "email")
    assert ctl.psql("select scope from pause") == [["rule:greet"]]
    assert "was not paused" in ctl.run("resume", "all")
    assert ctl.psql("select action, object from audit order by n") == [
        ["pause", "all"], ["pause", "channel:email"], ["pause", "rule:greet"], ["pause", "all"],
        ["resume", "all"], ["resume", "channel:email"]]


def test_P23_resume_sends_what_waited_and_drop_withdraws_it(ctl):
    for n in (1, 2, 3):
        ctl.customer(n)
    ctl.message(11, 1)
    ctl.message(12, 1, rule="other")
    ctl.message(13, 2, channel="publish")
    ctl.message(14, 3, due="now() + interval '1 hour'")
    ctl.message(15, 3, state="sending")
    ctl.run("pause", "rule", "greet")
    ctl.run("resume", "rule", "greet")
    assert ctl.value("select count(*) from message where state = 'ready'") == "4"

    ctl.run("resume", "rule", "greet", "--drop")
    assert ctl.value("select count(*) from message where state = 'ready'") == "4", "it was not paused"

    ctl.run("pause", "channel", "email")
    assert "2 messages that waited are dropped" in ctl.run("resume", "channel", "email", "--drop")
    assert ctl.psql("select id, state, code from message order by id") == [
        ["11", "withdrawn", "dropped"], ["12", "withdrawn", "dropped"], ["13", "ready", ""],
        ["14", "ready", ""], ["15", "sending", ""]]
    rows = ctl.psql("select customer, store, type, data from inbox order by id")
    assert [row[:3] for row in rows] == [["1", "shop", "message.failed"]] * 2
    assert json.loads(rows[0][3]) == {"message_id": "11", "channel": "email", "code": "dropped"}
    assert ctl.value("select detail->>'drop' from audit order by n desc limit 1") == "true"


def test_drop_waits_for_nobody_but_misses_nobody(ctl):
    """A customer that somebody holds is passed over and taken when he is free."""
    ctl.psql("insert into customer (id, base) select n, 'shop' from generate_series(1, 1300) n")
    ctl.message(1, 1)
    ctl.psql("insert into message (id, customer, store, rule, channel, class, created, due, state) "
             "select n + 10, n, 'shop', 'greet', 'email', 'bulk', now(), now(), 'ready' "
             "from generate_series(1, 1300) n")
    ctl.run("pause")
    holder = threading.Thread(target=ctl.psql, args=(
        "begin; select id from customer where id <= 20 for no key update; select pg_sleep(2); commit",))
    holder.start()
    time.sleep(0.5)
    assert "1301 messages that waited are dropped" in ctl.run("resume", "--drop")
    holder.join()
    assert ctl.value("select count(*) from message where state <> 'withdrawn'") == "0"
    assert ctl.value("select count(*) from inbox") == "1301"


def test_P23_restored_copy(ctl):
    ctl.customer(1)
    ctl.message(11, 1, due="'2026-01-01T00:00Z'")
    ctl.message(12, 1, due="'2026-01-03T00:00Z'")
    ctl.psql("insert into task (id, customer, store, rule, created, deadline, state) values "
             "(21, 1, 'shop', 'greet', now(), '2026-01-01T00:00Z', 'open'), "
             "(22, 1, 'shop', 'greet', now(), '2026-01-03T00:00Z', 'taken')")
    ctl.psql("insert into sent_identity (system_identifier, timeline) values (1, 1)")
    assert "restored copy" in ctl.run("pauses") and "restored copy" in ctl.run("status")
    ctl.run("resume", "--restored-at", "yesterday", code=1)
    assert "is no time" in ctl.err
    out = ctl.run("resume", "--restored-at", "2026-01-02T00:00:00Z")
    assert "1 messages and 1 deadlines" in out and "restored copy" not in out
    assert ctl.psql("select id, state, code from message order by id") == [
        ["11", "expired", "restored"], ["12", "ready", ""]]
    assert ctl.psql("select id, overdue from task order by id") == [["21", "t"], ["22", "f"]]
    assert ctl.value("select count(*) from sent_identity s, pg_control_system() c "
                     "where s.system_identifier = c.system_identifier") == "1"
    assert ctl.value("select detail->>'restored_at' from audit") == "2026-01-02T00:00:00Z"


def test_rules_resume_wakes_what_was_suspended(ctl):
    assert ctl.run("rules") == "no rule is suspended\n"
    ctl.customer(1)
    ctl.chain(31, 1, state="suspended", wake="null")
    ctl.chain(32, 1, state="suspended", rule="other", wake="null")
    ctl.psql("insert into suspended_rule (rule, reason) values ('greet', 'failed 20 times')")
    ctl.psql("insert into strike (kind, id, rule) values ('event', 'a', 'greet'), ('event', 'b', 'other'), "
             "('chain', '31', 'greet')")
    assert "failed 20 times" in ctl.run("rules", "list")
    before = int(ctl.value("select switches_version from current"))
    assert 'rule "greet" runs again, 1 chains go on' in ctl.run("rules", "resume", "greet")
    assert int(ctl.value("select switches_version from current")) == before + 1
    assert ctl.psql("select id, state, wake_at <= now(), reason from chain order by id") == [
        ["31", "waiting", "t", ""], ["32", "suspended", "", "why"]]
    assert ctl.psql("select kind, id from strike order by 1, 2") == [["chain", "31"], ["event", "b"]]
    assert "was not suspended" in ctl.run("rules", "resume", "greet")
    assert int(ctl.value("select switches_version from current")) == before + 1


def test_P7_rules_resume_waits_for_engines_that_have_not_heard_of_it(ctl):
    ctl.customer(1)
    ctl.chain(31, 1)
    ctl.psql("insert into suspended_rule (rule, reason) values ('greet', 'failed 20 times')")
    engine = threading.Thread(target=ctl.psql, args=(
        "begin; update chain set state = 'suspended', wake_at = null where id = 31; "
        "select pg_sleep(2); commit",))
    engine.start()  # one transaction: a batch that was loaded before
    deadline = time.monotonic() + 10
    while ctl.value("select count(*) from pg_stat_activity where query like 'select pg_sleep%' "
                    "and pid <> pg_backend_pid() and datname = current_database()") == "0":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "1 chains go on" in ctl.run("rules", "resume", "greet")
    engine.join()
    assert ctl.value("select state from chain where id = 31") == "waiting"


def test_chains_list_stop_and_retry(ctl):
    assert ctl.run("chains") == "no chains are live\n"
    ctl.customer(1)
    ctl.chain(31, 1, key="A1")
    ctl.chain(32, 1, key="A1", state="queued", wake="null")
    ctl.chain(33, 1, key="B2", state="queued", wake="null")
    ctl.chain(34, 1, state="stuck", rule="other", wake="null")
    ctl.message(11, 1, chain=31)
    ctl.message(12, 1, chain=31, state="sending")
    ctl.psql("insert into task (id, customer, chain, store, rule, created, state) values "
             "(21, 1, 31, 'shop', 'greet', now(), 'open'), (22, 1, 31, 'shop', 'greet', now(), 'taken')")
    ctl.psql("insert into strike (kind, id, rule, times) values ('chain', '34', 'other', 2)")
    assert len(ctl.run("chains").splitlines()) == 4
    assert len(ctl.run("chains", "other").splitlines()) == 1

    assert "chain 31 is stopped" in ctl.run("chains", "stop", "31")
    assert ctl.psql("select id, state, ended is not null from chain_log") == [["31", "cancelled", "t"]]
    assert ctl.psql("select id, state from chain order by id") == [
        ["32", "waiting"], ["33", "queued"], ["34", "stuck"]]
    assert ctl.psql("select id, state from message order by id") == [["11", "withdrawn"], ["12", "sending"]]
    assert ctl.psql("select id, state from task order by id") == [["21", "withdrawn"], ["22", "taken"]]
    ctl.run("chains", "stop", "31", code=1)
    assert "there is no live chain 31" in ctl.err

    before = int(ctl.value("select switches_version from current"))
    ctl.run("chains", "retry", "32", code=1)
    assert "not stuck, failed or suspended" in ctl.err
    assert "chain 34 is tried again" in ctl.run("chains", "retry", "34")
    assert ctl.psql("select state, wake_at <= now() from chain where id = 34") == [["waiting", "t"]]
    assert ctl.value("select count(*) from strike") == "0"
    assert int(ctl.value("select switches_version from current")) == before + 1
    assert ctl.psql("select action, object from audit order by n") == [["chains stop", "31"], ["chains retry", "34"]]


def test_texts_can_not_steer_the_terminal(ctl):
    ctl.customer(1)
    ctl.psql("update customer set name = E'A\\x1b[2Jb', first_name = E'A\\x1b[2Jb' where id = 1")
    ctl.chain(31, 1, key="E\x1b[2J\u009b31m")
    ctl.run("reload")
    assert "about E\\x1b[2J\\x9b31m" in ctl.run("chains")
    assert "Subject: Hello A\\x1b[2Jb\n" in ctl.run("render", "hello", "--customer", "1")


def test_reloads_at_a_time_come_one_after_the_other(ctl):
    ctl.run("reload")
    threads = [threading.Thread(target=ctl.run, args=("reload",)) for _ in range(6)]
    for n, thread in enumerate(threads):
        ctl.write_rule(GOOD_RULE + f"-- {n}\n")
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert ctl.value("select set_id = (select max(id) from rule_set) from current") == "t"
    assert ctl.value("select bool_and(activated > before) from (select activated, "
                     "lag(activated) over (order by id) as before from rule_set) r where before is not null") == "t"


def test_status_shows_what_there_is(ctl):
    out = ctl.run("status")
    assert "no rule set is active yet" in out and "nothing is paused" in out
    ctl.customer(1)
    ctl.message(11, 1)
    lines = dict(line.rsplit(None, 1) for line in ctl.run("status").splitlines() if line[-1].isdigit())
    assert lines["messages that wait"] == "1" and lines["live chains"] == "0"


def test_render_shows_the_mail(ctl):
    ctl.run("reload")
    ctl.psql("insert into customer (id, base, email, first_name, name, lang) values "
             "(7, 'shop', 'anna@example.com', 'Anna', 'Anna <b>Berg</b>', 'en')")
    ctl.psql("insert into identity (value, kind, base, customer) values ('anna@example.com', 2, 'shop', 7), "
             "('+4915112345678', 3, 'shop', 7), ('k7', 1, 'shop', 7)")
    shown = ctl.run("render", "hello", "--customer", "Anna@Example.com")
    assert "To: anna@example.com\nSubject: Hello Anna\nLanguage: en\n" in shown
    assert "<p>Dear Anna &lt;b&gt;Berg&lt;/b&gt;!</p>" in shown and "Dear Anna <b>Berg</b>!" in shown
    for key in ("+49 151 12345678", "k7", "7"):
        assert ctl.run("render", "hello", "--customer", key) == shown
    ctl.run("render", "hello", "--customer", "nobody@example.com", code=1)
    assert 'no customer "nobody@example.com"' in ctl.err
    ctl.run("render", "helo", "--customer", "7", code=1)
    assert 'no template "helo"' in ctl.err
    ctl.run("render", "hello", "--customer", "7", "--lang", "ru", code=1)
    assert "in language ru" in ctl.err
    ctl.run("render", "hello", "--customer", "7", "--with", "{oops", code=1)
    assert "no JSON object" in ctl.err
    ctl.run("render", "hello", "--customer", "7", "--send", "a@b\r\nRCPT TO:<x@y.z>", code=1)
    assert ctl.value("select count(*) from message") == "0"
    ctl.run("render", "hello", code=2)


def test_render_of_files_before_a_reload(ctl):
    ctl.customer(7)
    (ctl.templates / "total.en.html").write_text("<title>{{ with.total | money }}</title>Sum")
    (ctl.templates / "total.de.html").write_text("<title>{{ with.total | money }}</title>Summe")
    args = ["render", "total", "--customer", "7", "--with", '{"total": 12.5}', "--templates", str(ctl.templates)]
    assert "Sum\n" in ctl.run(*args)
    shown = ctl.run(*args, "--lang", "de-AT")
    assert "Language: de" in shown and "Summe" in shown and "12,50" in shown
    (ctl.templates / "total.de.html").write_text("<title>x</title>\n{{ with.total | monny }}")
    ctl.run(*args, "--lang", "de", code=1)
    assert "monny" in ctl.err


def history(n, first=1):
    """n orders of the year before last, as lines."""
    return [json.dumps({"type": "order.placed", "id": f"o{i}", "time": f"2024-03-01T10:{i % 60:02d}:00Z",
                        "data": {"order_id": f"A{i}", "total": 10, "currency": "EUR",
                                 "customer": {"email": f"c{i % 50}@example.com"}}})
            for i in range(first, first + n)]


def test_import_takes_history_once(ctl):
    """The past is in the cards, with its own times; nothing is sent; a second run finds everything known."""
    path = ctl.dir / "events.ndjson"
    path.write_text("\n".join(history(1200)) + "\n\n")
    assert "1201 lines: 1200 accepted, 0 duplicate, 0 conflict, 0 quarantined" in \
        ctl.run("import", "events", str(path))
    assert ctl.value("select count(*) from event") == "1200"
    assert ctl.value("select count(*) from customer") == "50"
    assert ctl.value("select count(*) from event where time < '2024-04-01'") == "1200"
    assert ctl.value("select count(*) from message") == "0"
    assert "0 accepted, 1200 duplicate" in ctl.run("import", "events", str(path))
    assert "3 accepted, 0 duplicate" in ctl.run(
        "import", "events", "-", "--store", "shop", stdin="\n".join(history(3, 5000)))
    assert ctl.value("select count(*) from audit where action = 'import events'") == "3"


def test_import_says_which_lines_are_bad(ctl):
    path = ctl.dir / "bad.ndjson"
    good = history(4)
    path.write_text("\n".join([
        good[0], "not json", good[1], '{"data": {}}', '{"type": "page.viewed", "data": {"url": "x"}}',
        good[2], good[0].replace('"total": 10', '"total": 11'), "[]", good[3]]))
    out = ctl.run("import", "events", str(path), code=1)
    assert "9 lines: 4 accepted, 0 duplicate, 1 conflict, 4 quarantined" in out
    for line, what in ((2, "$"), (4, "$.type: type is missing"), (5, "neither id nor time"),
                       (7, "conflict"), (8, "one event")):
        assert any(row.startswith(f"{path}:{line}: ") and what in row for row in ctl.err.splitlines()), ctl.err
    assert ctl.value("select count(*) from quarantine") == "4"
    assert ctl.value("select count(*) from conflict") == "1"


def test_import_wants_to_know_the_store(ctl):
    with open(ctl.conf, "a", encoding="utf-8") as conf:
        conf.write("[store second]\nzone = UTC\n")
    ctl.run("import", "events", "-", stdin="", code=1)
    assert "--store NAME" in ctl.err
    ctl.run("import", "events", "-", "--store", "third", stdin="", code=1)
    assert 'no store "third"' in ctl.err
    ctl.run("import", "events", "/nowhere.ndjson", "--store", "second", code=1)
    assert "could not open" in ctl.err
    assert "0 lines" in ctl.run("import", "events", "-", "--store", "second", stdin="")


def test_import_outlives_a_restart_of_the_database(ctl):
    lines = history(4000)
    process = subprocess.Popen([NUDGECTL, "--config", str(ctl.conf), "import", "events", "-"], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write("\n".join(lines[:2000]) + "\n")
    process.stdin.flush()
    time.sleep(0.5)
    ctl.pg.restart("immediate")
    out, err = process.communicate("\n".join(lines[2000:]), timeout=60)
    assert process.returncode == 0, err
    assert "4000 lines" in out and ctl.value("select count(*) from event") == "4000"


def run_alone(*args, cwd):
    """Without a configuration."""
    return subprocess.run([NUDGECTL, *args], cwd=cwd, text=True, timeout=60, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False,
                          env={k: v for k, v in os.environ.items() if k != "NUDGED_CONFIG"})


def test_shipped_rules_are_right_and_a_failing_test_is_named(tmp_path):
    for name in ("rules", "templates"):
        shutil.copytree(os.path.join(SOURCE, name), tmp_path / name)
    done = run_alone("check", cwd=tmp_path)
    assert done.returncode == 0 and "rules in" in done.stdout, done.stderr
    done = run_alone("test", cwd=tmp_path)
    assert done.returncode == 0 and ", 0 failed" in done.stdout, done.stdout
    rule = tmp_path / "rules" / "call-the-buyer.lua"
    rule.write_text(rule.read_text().replace("Call the buyer", "Call nobody"))
    done = run_alone("test", "call-the-buyer_test.lua", cwd=tmp_path)
    assert done.returncode == 1 and "FAILED call-the-buyer_test.lua" in done.stdout, done.stdout
    rule.write_text(rule.read_text().replace("order.placed", "order.plased", 1))
    done = run_alone("check", cwd=tmp_path)
    assert done.returncode == 1 and 'did you mean "order.placed"' in done.stderr, done.stderr
    assert "call-the-buyer.lua:" in done.stderr


def test_check_needs_no_database_and_no_configuration(tmp_path):
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "greet.lua").write_text(GOOD_RULE)
    done = run_alone("check", "--rules", str(rules), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_check_tells_warnings_and_strict_refuses_them(tmp_path):
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "greet.lua").write_text(GOOD_RULE)
    (rules / "cart.lua").write_text('''rule "cart" {
	on = "cart.updated",
	when = function(cart) return cart.totl > 10 end,
	run = function(cart) note("hello") end,
}
''')
    warning = 'warning: cart.lua:3: cart: cart.updated has no field "totl"; did you mean "total"?'
    done = run_alone("check", cwd=tmp_path)
    assert done.returncode == 0 and warning in done.stderr and "1 warning" in done.stdout, (done.stdout, done.stderr)
    done = run_alone("check", "--strict", cwd=tmp_path)
    assert done.returncode == 1 and warning.replace("warning", "error") in done.stderr, done.stderr
    done = run_alone("check", "--strict", "greet.lua", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    done = run_alone("check", "rules/cart.lua", cwd=tmp_path)
    assert done.returncode == 0 and warning in done.stderr, done.stderr
    (rules / "bad.lua").write_text('rule "bad" { on = "cart.updated", run = function() wait "2 hours" end }')
    done = run_alone("check", cwd=tmp_path)
    assert done.returncode == 1 and "error: bad.lua:1: wait: unknown unit" in done.stderr, done.stderr


def test_P14_a_person_resolves_what_is_in_doubt(ctl):
    ctl.customer(1)
    for number in (11, 12, 13):
        ctl.message(number, 1, state="in_doubt", chain=5)
    assert all(str(n) in ctl.run("doubts") for n in (11, 12, 13))
    ctl.run("doubts", "resolve", "11", "sent")
    ctl.run("doubts", "resolve", "12", "failed")
    ctl.run("doubts", "resolve", "13", "resend")
    assert ctl.run("doubts") == "no message is in doubt\n"
    assert [r[0] for r in ctl.psql("select state from message order by id")] == ["sent", "failed", "ready"]
    assert [(r[0], r[1]) for r in ctl.psql("select type, data ->> 'message_id' from inbox order by id")] == [
        ("message.sent", "11"), ("message.failed", "12")]
    assert ctl.value("select id from message where keep") == "13"  # its chain may have ended meanwhile
    assert ctl.value("select count(*) from audit where action like 'doubts%'") == "3"
    ctl.run("doubts", "resolve", "11", "sent", code=1)
    assert "not in doubt" in ctl.err
    ctl.run("doubts", "resolve", "11", "perhaps", code=2)
