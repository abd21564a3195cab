"""nudgectl beside a running daemon: import, stop buttons, chains, reload, render --send.

One `nudged --dev` with its own Postgres, broker and mail catch-all serves all tests; each uses a customer of
its own.  Runs the programs of $NUDGED_BUILD (default: the current directory).
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

import pytest

from cluster import find_bin

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
NUDGED, NUDGECTL = os.path.join(BUILD, "nudged"), os.path.join(BUILD, "nudgectl")
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

pytestmark = [
    pytest.mark.skipif(not os.path.exists(NUDGED) or not os.path.exists(NUDGECTL),
                       reason="no nudged and nudgectl in $NUDGED_BUILD"),
    pytest.mark.skipif(find_bin() is None or not glob.glob("/usr/sbin/mosquitto"),
                       reason="no Postgres or no Mosquitto is installed"),
]

RULES = {
    # knows the past by import
    "regular.lua": '''rule "regular" {
	about = "greets who has ordered twice before",
	on = "product.viewed",
	when = function(e, customer) return count("order.placed") == 2 and customer.orders.count == 2 end,
	run = function(e) email { template = "hello", class = "transactional" } end,
}
''',
    # must not hear of what is imported
    "thanks.lua": '''rule "thanks" {
	about = "thanks for an order",
	on = "order.placed",
	max_age = "3650d",
	class = "transactional",
	run = function(e) email { template = "hello" } end,
}
''',
    # tells what became of its mail
    "waits.lua": '''rule "waits" {
	about = "mails, and makes a task when the mail could not go out",
	on = "cart.updated",
	class = "transactional",
	run = function(e)
		local m = email { template = "hello" }
		if wait("30d", m.delivered) == nil then task { title = "Could not mail" } end
	end,
}
''',
}


def until(what, seconds=15.0):
    """Waits until what() is true and returns it."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < end, "did not happen in %g s" % seconds
        time.sleep(0.05)


class Dev:
    """A daemon in development mode."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="nudged-ctl-")  # short: sockets are in it
        os.chmod(self.dir, 0o755)
        self.rules, templates = os.path.join(self.dir, "rules"), os.path.join(self.dir, "templates")
        os.mkdir(self.rules)
        os.mkdir(templates)
        for name, text in RULES.items():
            self.write_rule(name, text)
        with open(os.path.join(templates, "hello.en.html"), "w", encoding="utf-8") as file:
            file.write("<title>Hello {{ customer.id }}</title><p>Hi {{ customer.email }}</p>")
        self.env = dict(os.environ, NUDGED_SQL_DIR=os.path.join(SOURCE, "sql"))
        self.log = open(os.path.join(self.dir, "log.txt"), "wb")
        self.process = subprocess.Popen(
            [NUDGED, "--dev", os.path.join(self.dir, "dev"), "--rules", self.rules, "--templates", templates],
            env=self.env, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout.readline().startswith("ready"), self.log_text()
        with open(os.path.join(self.dir, "dev", "env"), encoding="utf-8") as file:
            self.vars = dict(line.strip().split("=", 1) for line in file if "=" in line)
        self.vars = {key: value.strip("'") for key, value in self.vars.items()}
        self.db = __import__("psycopg2").connect(self.vars["NUDGED_DSN"] + " options='-c search_path=nudged'")
        self.db.autocommit = True
        until(lambda: self.value("select set_id from current"), 30)

    def log_text(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as file:
            return file.read()[-5000:]

    def write_rule(self, name, text):
        with open(os.path.join(self.rules, name), "w", encoding="utf-8") as file:
            file.write(text)

    def rows(self, sql, *args):
        with self.db.cursor() as cursor:
            cursor.execute(sql, args)
            return cursor.fetchall()

    def value(self, sql, *args):
        rows = self.rows(sql, *args)
        return rows[0][0] if rows else None

    def ctl(self, *args, code=0, stdin=None):
        done = subprocess.run([NUDGECTL, "--config", self.vars["NUDGED_CONFIG"], *args], env=self.env, timeout=90,
                              input=stdin, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    def post(self, kind, email, **data):
        """One event about this customer, judged when this returns."""
        body = json.dumps({"type": kind, "data": {**data, "customer": {"email": email}}}).encode()
        request = urllib.request.Request(self.vars["NUDGED_URL"] + "/events", body, {
            "Content-Type": "application/json", "Authorization": "Bearer " + self.vars["NUDGED_TOKEN"]})
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def customer(self, email):
        return self.value("select customer from identity where value = %s and kind = 2", email)

    def messages(self, email, state=None):
        return [row[0] for row in self.rows("select state from message where customer = %s order by id",
                                            self.customer(email)) if state in (None, row[0])]

    def mails(self, to):
        """Texts of the mails to this address."""
        found = []
        for path in sorted(glob.glob(os.path.join(self.dir, "dev", "mail", "*.eml"))):
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            if to in text:
                found.append(text)
        return found

    def close(self):
        self.db.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        finally:
            self.log.close()
            shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(scope="module")
def dev():
    daemon = Dev()
    yield daemon
    daemon.close()


def test_imported_history_is_known_to_rules_and_starts_none(dev):
    lines = [json.dumps({"type": "order.placed", "id": f"h{n}", "time": f"2025-0{n}-01T12:00:00Z",
                         "data": {"order_id": f"H{n}", "total": 10 * n, "currency": "EUR",
                                  "customer": {"email": "past@example.com"}}}) for n in (1, 2)]
    assert "2 accepted" in dev.ctl("import", "events", "-", stdin="\n".join(lines))
    assert "2 duplicate" in dev.ctl("import", "events", "-", stdin="\n".join(lines))
    customer = dev.customer("past@example.com")
    assert dev.rows("select orders_count, orders_total from customer where id = %s", customer) == [(2, 30)]
    assert dev.messages("past@example.com") == []
    assert dev.value("select count(*) from chain where customer = %s", customer) == 0
    dev.post("product.viewed", "past@example.com", product_id="p1")
    until(lambda: dev.messages("past@example.com", "sent"))
    dev.post("product.viewed", "nopast@example.com", product_id="p1")
    assert dev.messages("nopast@example.com") == []


def test_P23_paused_mail_waits_and_goes_on_resume(dev):
    dev.ctl("pause", "channel", "email", "--reason", "test")
    dev.post("order.placed", "held@example.com", order_id="o1", total=5)
    time.sleep(1.5)
    assert dev.messages("held@example.com") == ["ready"]
    dev.ctl("resume", "channel", "email")
    until(lambda: dev.messages("held@example.com", "sent"))
    assert len(dev.mails("held@example.com")) == 1


def test_P23_dropped_mail_is_told_to_its_chain(dev):
    dev.ctl("pause", "rule", "waits")
    dev.post("cart.updated", "drop@example.com", products=[{"product_id": "p", "quantity": 1}])
    dev.post("order.placed", "other@example.com", order_id="o2", total=5)
    until(lambda: dev.messages("other@example.com", "sent"))
    assert dev.messages("drop@example.com") == ["ready"]
    assert "waits" in dev.ctl("chains", "waits")
    assert "1 messages that waited are dropped" in dev.ctl("resume", "rule", "waits", "--drop")
    customer = dev.customer("drop@example.com")
    until(lambda: dev.value("select count(*) from task where customer = %s", customer))
    assert dev.messages("drop@example.com") == ["withdrawn"] and dev.mails("drop@example.com") == []
    until(lambda: not dev.value("select count(*) from chain where customer = %s", customer))


def test_P23_restored_copy_sends_nothing_by_itself(dev):
    dev.post("order.placed", "first@example.com", order_id="o5", total=5)
    until(lambda: dev.messages("first@example.com", "sent"))
    dev.rows("update sent_identity set system_identifier = system_identifier + 1 returning 1")
    dev.post("order.placed", "copy@example.com", order_id="o6", total=5)
    dev.rows("insert into task (id, customer, store, rule, title, created, deadline, state) values "
             "(1, %s, 'main', 'thanks', 'call', now(), now(), 'open') returning 1", dev.customer("copy@example.com"))
    time.sleep(1.5)
    assert dev.messages("copy@example.com") == ["ready"]
    assert dev.value("select overdue from task where id = 1") is False
    assert "restored copy" in dev.ctl("status")
    assert "0 messages and 0 deadlines" in dev.ctl("resume", "--restored-at", "2020-01-01T00:00:00Z")
    until(lambda: dev.messages("copy@example.com", "sent"))
    until(lambda: dev.value("select overdue from task where id = 1"))


def test_stopped_chain_withdraws_its_mail(dev):
    dev.ctl("pause")
    dev.post("cart.updated", "stop@example.com", products=[{"product_id": "p", "quantity": 1}])
    chain = dev.value("select id from chain where customer = %s", dev.customer("stop@example.com"))
    assert f"chain {chain} is stopped" in dev.ctl("chains", "stop", str(chain))
    assert dev.messages("stop@example.com") == ["withdrawn"]
    assert dev.value("select state from chain_log where id = %s", chain) == "cancelled"
    dev.ctl("resume")
    dev.post("cart.updated", "stop@example.com", products=[{"product_id": "q", "quantity": 1}])
    until(lambda: "sent" in dev.messages("stop@example.com"))


def test_P9_reload_counts_from_the_next_event_on(dev):
    before = dev.value("select set_id from current")
    dev.write_rule("broken.lua", 'rule "broken" { on = "order.plased" }\n')
    out = dev.ctl("reload", code=1)
    assert "broken.lua:1" in out and 'order.placed' in out and "nothing was changed" in out
    assert dev.value("select set_id from current") == before
    dev.write_rule("broken.lua", '''rule "fresh" {
	about = "is new",
	on = "customer.created",
	class = "transactional",
	run = function(e) task { title = "new" } end,
}
''')
    assert "is current now" in dev.ctl("reload")
    dev.post("customer.created", "fresh@example.com")
    assert dev.value("select count(*) from task where customer = %s", dev.customer("fresh@example.com")) == 1


def test_suspended_rule_runs_again(dev):
    dev.rows("insert into suspended_rule (rule, reason) values ('thanks', 'test') returning 1")
    dev.rows("update current set switches_version = switches_version + 1 returning 1")
    dev.post("order.placed", "susp@example.com", order_id="o3", total=5)
    assert dev.messages("susp@example.com") == []
    assert "thanks" in dev.ctl("rules")
    dev.ctl("rules", "resume", "thanks")
    dev.post("order.placed", "susp@example.com", order_id="o4", total=5)
    until(lambda: dev.messages("susp@example.com", "sent"))


def test_render_sends_one_mail_elsewhere(dev):
    dev.post("customer.created", "shown@example.com")
    out = dev.ctl("render", "hello", "--customer", "shown@example.com", "--send", "me@example.net")
    assert "sent to me@example.net" in out
    mail = until(lambda: dev.mails("me@example.net"))[0]
    assert "Hi shown@example.com" in mail and dev.mails("To: shown@example.com") == []


def test_status_of_a_running_system(dev):
    out = dev.ctl("status")
    assert "nothing is paused" in out and "no rule is suspended" in out and "rule set " in out
