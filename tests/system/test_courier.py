"""A courier against a real Postgres and an SMTP server that also misbehaves.

Rows are written by SQL, the courier is tests/courier_run; no engine.  The program is looked for in the build
directory: $NUDGED_BUILD, else the current directory.
"""
import base64
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import psycopg2
import pytest

from cluster import Postgres
from daemon import until
from ports import free_port
from smtpd import DRIP, DROP, STALL, Smtpd, make_certificates

BUILD = os.environ.get("NUDGED_BUILD", os.getcwd())
PROGRAM = os.path.join(BUILD, "tests", "courier_run")
SQL = os.path.join(os.path.dirname(__file__), "..", "..", "sql")
BODY = open(PROGRAM, "rb").read() if os.path.exists(PROGRAM) else b""
FAILPOINTS = b"mail.before_body" in BODY

pytestmark = pytest.mark.skipif(not BODY, reason="tests/courier_run is not built")
needs_failpoints = pytest.mark.skipif(not FAILPOINTS, reason="not configured with --enable-failpoints")

HTML = """<html><head><title>Hello {{ customer.first_name }}</title></head>
<body><p>{{ customer.name }}: {{ with.total | money }} on {{ "2026-03-01T23:30:00Z" | date: "%Y-%m-%d %H:%M" }}</p>
<a href="{{ unsubscribe_url }}">unsubscribe</a></body></html>"""


@pytest.fixture(scope="module")
def pg():
    with Postgres({"max_connections": "40"}) as cluster:
        yield cluster


class Bench:
    """A schema with one customer and one template, a configuration, and couriers."""

    def __init__(self, pg, smtp, **mail):
        self.pg, self.smtp = pg, smtp
        self.dir = tempfile.mkdtemp(prefix="nudged-courier-")
        self.config = os.path.join(self.dir, "nudged.conf")
        self.logs, self.couriers, self.next_id = [], [], 0
        self.mail = {"host": "localhost", "port": smtp.port if smtp else 1, "starttls": "no", "timeout": "2s",
                     "retry": "1s", "helo": "courier.test", **mail}
        self.write()
        pg.psql("drop schema if exists nudged cascade")
        self.run("migrate")
        self.db = psycopg2.connect(pg.dsn + " options='-c search_path=nudged'")
        self.db.autocommit = True
        self.customer(1, "anna@example.com")
        self.template("a" * 64, html=HTML)

    def write(self, mqtt=None, publish="", **more):
        self.mail.update(more)
        self.mqtt = mqtt or getattr(self, "mqtt", None)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"[nudged]\npublic_url = https://shop.test/n\nsign_key = {'k' * 20}\n"
                       f"[database]\ndsn = {self.pg.dsn}\npoll = 100ms\n[mail]\n")
            file.writelines(f"{k} = {v}\n" for k, v in self.mail.items())
            if self.mqtt:
                file.write(f"[mqtt]\nhost = localhost\nport = {self.mqtt}\n[publish]\ntimeout = 2s\n{publish}\n")
            file.write("[store shop]\nfrom = Лавка <shop@shop.test>\nreply_to = help@shop.test\n"
                       "zone = Europe/Kyiv\ncurrency = EUR\nlanguage = en\n")

    def run(self, what):
        env = dict(os.environ, NUDGED_SQL_DIR=SQL)
        subprocess.run([PROGRAM, what, self.config], env=env, check=True, stdout=subprocess.DEVNULL)

    def sql(self, text, *args):
        with self.db.cursor() as cursor:
            cursor.execute(text, args)
            return cursor.fetchall() if cursor.description else None

    def customer(self, number, address, **columns):
        columns = {"base": "shop", "email": address, "name": "Anna Ivanova", "first_name": "Anna",
                   "consent": json.dumps({"email": True}), **columns}
        names = ", ".join(columns)
        self.sql(f"insert into customer (id, {names}) values (%s{', %s' * len(columns)})", number, *columns.values())

    def template(self, digest, **parts):
        self.sql("insert into template_text (hash, body) values (%s, %s)", digest, json.dumps(parts))

    def message(self, customer=1, **columns):
        self.next_id += 1
        data = columns.pop("data", {"event": {}, "with": {"total": 12.5}})
        due = columns.pop("due", "0 s")
        columns = {"store": "shop", "rule": "cart", "channel": "email", "class": "marketing",
                   "template": "hello", "template_hash": "a" * 64, "lang": "en", "state": "ready",
                   "data": json.dumps(data), **columns}
        names = ", ".join(columns)
        self.sql(f"insert into message (id, customer, created, due, {names}) values (%s, %s, "
                 f"clock_timestamp(), clock_timestamp() + %s::interval{', %s' * len(columns)})",
                 self.next_id, customer, due, *columns.values())
        return self.next_id

    def start(self, what="mail", failpoint=None):
        env = dict(os.environ)
        if failpoint:
            env["NUDGED_FAILPOINT"] = failpoint
        log = open(os.path.join(self.dir, f"log{len(self.logs)}"), "wb")
        self.logs.append(log.name)
        process = subprocess.Popen([PROGRAM, what, self.config], stderr=log, stdout=open(log.name + ".out", "wb"),
                                   env=env)
        self.couriers.append(process)
        return process

    def stop(self, process=None, wait=15):
        for p in [process] if process else self.couriers:
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.send_signal(signal.SIGTERM)
        return [p.wait(wait) for p in ([process] if process else self.couriers)]

    def state(self, number):
        return self.sql("select state, code from message where id = %s", number)[0]

    def until(self, number, *states, seconds=10):
        """Waits until the message is in one of the states; returns (state, code)."""
        end = time.time() + seconds
        while time.time() < end:
            state = self.state(number)
            if state[0] in states:
                return state
            time.sleep(0.02)
        raise AssertionError(f"message {number} is {self.state(number)}, not {states}\n{self.log()[-3000:]}")

    def inbox(self):
        return [(t, d) for t, d in self.sql("select type, data from inbox order by id")]

    def log(self):
        return "".join(open(p, encoding="utf-8", errors="replace").read() for p in self.logs)

    def close(self):
        for p in self.couriers:
            if p.poll() is None:
                p.kill()
                p.wait()
        self.db.close()
        log = self.log()
        shutil.rmtree(self.dir)
        assert "Sanitizer" not in log and "runtime error" not in log, log[-5000:]


@pytest.fixture
def smtp():
    with Smtpd() as server:
        yield server


@pytest.fixture
def bench(pg, smtp):
    b = Bench(pg, smtp)
    yield b
    b.close()


def pause(seconds=0.6):
    """Long enough for a courier to have done what it should not do."""
    time.sleep(seconds)


# what a mail looks like

def test_mail_is_rendered_sent_and_told(bench, smtp):
    m = bench.message()
    bench.start()
    assert bench.until(m, "sent") == ("sent", "250")
    [mail] = smtp.wait(1)
    assert mail.recipient == "anna@example.com" and "<shop@shop.test>" in mail.sender
    assert mail.header("Subject") == "Hello Anna"
    assert str(mail.header("From")) == "Лавка <shop@shop.test>"
    assert mail.header("Reply-To") == "help@shop.test"
    assert mail.header("To") == "Anna Ivanova <anna@example.com>"
    assert mail.header("List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    link = mail.header("List-Unsubscribe")
    assert link.startswith("<https://shop.test/n/u/") and link.endswith(">") and link[1:-1] in mail.text("html")
    assert mail.header("Auto-Submitted") == "auto-generated" and mail.header("Date")
    assert mail.header("Message-ID").startswith(f"<m{m}.") and mail.header("Message-ID").endswith("@shop.test>")
    assert mail.mail.get_content_type() == "multipart/alternative"
    assert "€12.50 on 2026-03-02 01:30" in mail.text("html")       # his store's zone and currency
    assert "€12.50" in mail.text() and "<p>" not in mail.text()
    assert all(len(line) <= 1000 and line.endswith(b"\r\n") for line in smtp.wire)
    assert all(b < 128 for b in mail.data)
    [(kind, data)] = bench.inbox()
    assert kind == "message.sent" and data == {"message_id": str(m), "rule": "cart", "channel": "email",
                                               "code": "250", "chain": "0"}
    [(verdict,)] = bench.sql("select verdict from message where id = %s", m)
    assert verdict["decision"] == "send" and verdict["attempt"] == 1


def test_transactional_mail_has_no_unsubscribe_header(bench, smtp):
    bench.message(**{"class": "transactional"}, address="boss@shop.test", subject="Order 5")
    bench.message(**{"class": "transactional"})
    bench.start()
    for mail in smtp.wait(2):
        assert mail.header("List-Unsubscribe") is None and mail.header("Precedence") is None
    assert smtp.messages[0].header("Subject") == "Order 5"
    assert "u/" not in smtp.messages[0].text("html")  # a manager can not be unsubscribed


def test_attachments_are_data_never_paths(bench, smtp):
    good = bench.message(data={"with": {"total": 1}, "attach": [
        {"name": "../../etc/счёт.pdf", "type": "application/pdf", "content": "JVBERi0xLjQ="}]})
    bad = bench.message(data={"with": {"total": 1}, "attach": [{"name": "x", "path": "/etc/passwd"}]})
    bench.start()
    assert bench.until(good, "sent")
    assert bench.until(bad, "failed") == ("failed", "template")
    [part] = smtp.messages[0].mail.iter_attachments()
    assert part.get_filename() == "счёт.pdf" and part.get_content() == b"%PDF-1.4"


CORPUS = ["Anna\r\nBcc: victim@example.com", "Anna\nX-Evil: 1", "{{ store.id }} {% raw %}", "<script>alert(1)</script>",
          "Анна \u202egnp.exe", '"; DROP TABLE message;--', "a" * 3000, ".\r\n.\r\nMAIL FROM:<evil@example.com>",
          "=?utf-8?b?QmNjOiB2aWN0aW0=?=", "😀" * 200]


def test_what_a_customer_typed_stays_text(bench, smtp):
    bench.template("b" * 64, html="<title>For {{ customer.name }}</title><p>{{ customer.name }}</p>")
    for i, name in enumerate(CORPUS):
        bench.customer(100 + i, f"c{i}@example.com", name=name)
        bench.message(100 + i, template_hash="b" * 64)
    bench.start()
    smtp.wait(len(CORPUS))
    assert len(smtp.messages) == len(CORPUS)
    allowed = {"From", "Reply-To", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Precedence",
               "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version", "Content-Type"}
    for mail in smtp.messages:
        name = CORPUS[int(mail.recipient[1:].split("@")[0])]
        assert set(mail.mail.keys()) == allowed and not mail.mail.defects
        assert mail.header("Subject").startswith("For ") and "\u202e" not in str(mail.header("Subject"))
        assert "<script>" not in mail.text("html")
        if "{{" in name:
            assert "{{ store.id }} {% raw %}" in mail.text("html")
    assert len(smtp.commands("MAIL")) == len(CORPUS)
    assert "victim" not in "".join(smtp.commands("RCPT"))


ADDRESSES = ["a@b.test>\r\nRCPT TO:<victim@example.com", "a@b.test\r\nDATA", "a b@c.test", '"a b"@c.test', "a@[127.0.0.1]",
             "аня@пример.рф", "a@b", "@b.test", "a@", "a" * 70 + "@b.test", "a@" + "b" * 300 + ".test", "a@b.test ",
             "a@-b.test", "a..b@c.test", "<a@b.test>", "a@b.test,c@d.test", "a@b.test\0", "|cat@b.test\n"]


def test_bad_addresses_never_reach_the_dialogue(bench, smtp):
    numbers = []
    for i, address in enumerate(ADDRESSES):
        address = address.replace("\0", "\x01")
        bench.customer(100 + i, address)
        numbers += [bench.message(100 + i), bench.message(1, address=address)]
    bench.start()
    for m in numbers:
        assert bench.until(m, "refused") == ("refused", "bad_address")
    assert smtp.connections == 0
    assert {d["code"] for _, d in bench.inbox()} == {"bad_address"} and len(bench.inbox()) == len(numbers)


# what is decided at the claim

def test_consent_withdrawn_after_writing_is_heeded(bench, smtp):
    m = bench.message(due="700 ms")
    bench.start()
    bench.sql("update customer set consent = '{\"email\": false}' where id = 1")
    assert bench.until(m, "refused") == ("refused", "no_consent")
    [(kind, data)] = bench.inbox()
    assert kind == "message.failed" and data["code"] == "no_consent"
    t = bench.message(**{"class": "transactional"})
    assert bench.until(t, "sent")[0] == "sent"  # part of a deal: a "no" to advertising does not stop it


def test_no_word_means_the_stores_default(bench, smtp):
    bench.customer(2, "bob@example.com", consent=None)
    m, t = bench.message(2), bench.message(2, **{"class": "transactional"})
    bench.start()
    assert bench.until(m, "refused")[1] == "no_consent" and bench.until(t, "sent")


def test_suppressed_addresses_get_nothing(bench, smtp):
    bench.customer(2, "bob@example.com", suppressed='{"email": "unsubscribed"}')
    bench.sql("insert into suppression values ('anna@example.com', 'email', 'shop', 'bounced', now())")
    a, b, c = bench.message(**{"class": "transactional"}), bench.message(2), bench.message(2, **{"class": "transactional"})
    boss = bench.message(address="anna@example.com")
    bench.start()
    assert [bench.until(m, "refused", "sent")[0] for m in (a, b, c, boss)] == ["refused", "refused", "sent", "refused"]


def test_pauses_hold_and_lose_nothing(bench, smtp):
    for scope in ("all", "channel:email", "rule:cart"):
        bench.sql("insert into pause (scope, by) values (%s, 'test')", scope)
        m, other = bench.message(), bench.message(rule="other")
        courier = bench.start()
        pause()
        assert bench.state(m) == ("ready", None)
        assert bench.state(other)[0] == ("sent" if scope == "rule:cart" else "ready")
        bench.sql("delete from pause")
        assert bench.until(m, "sent") and bench.until(other, "sent")
        bench.stop(courier)


def test_a_pause_is_effective_with_the_next_claim(bench, smtp):
    numbers = [bench.message() for _ in range(10)]

    def press(session, line):
        bench.sql("insert into pause (scope, by) values ('all', 'test') on conflict do nothing")

    smtp.on("dot", press, times=1)
    bench.start()
    bench.until(numbers[0], "sent")
    pause()
    assert len(smtp.messages) == 1
    bench.sql("delete from pause")
    for m in numbers:
        bench.until(m, "sent")


def test_expired_and_ended(bench, smtp):
    late = bench.message(expires="2026-01-01")
    ended = bench.message(chain=77)
    kept = bench.message(chain=78, keep=True)
    bench.sql("insert into chain (id, customer, store, rule, text_hash, level, state, started) "
              "values (79, 1, 'shop', 'cart', 'x', 1, 'settling', now())")
    live = bench.message(chain=79)
    bench.start()
    assert bench.until(late, "expired") and bench.until(ended, "withdrawn")
    assert bench.until(kept, "sent") and bench.until(live, "sent")
    codes = [(t, d["message_id"]) for t, d in bench.inbox()]
    assert ("message.failed", str(late)) in codes and ("message.sent", str(live)) in codes
    assert str(ended) not in [i for _, i in codes]


def test_only_to_lets_a_test_machine_reach_test_addresses_only(pg, smtp):
    bench = Bench(pg, smtp, only_to="@shop.test, anna@example.com")
    try:
        bench.customer(2, "bob@example.com")
        a, b, c = bench.message(), bench.message(2), bench.message(2, address="boss@shop.test")
        bench.start()
        assert bench.until(b, "refused") == ("refused", "only_to")
        assert bench.until(a, "sent") and bench.until(c, "sent")
    finally:
        bench.close()


def test_a_restored_copy_sends_nothing(bench, smtp):
    courier = bench.start()
    bench.until(bench.message(), "sent")
    bench.stop(courier)
    [(timeline,)] = bench.sql("select timeline from sent_identity")
    assert timeline == 1
    bench.sql("update sent_identity set timeline = timeline + 1")
    m = bench.message()
    courier = bench.start()
    pause()
    assert bench.state(m)[0] == "ready" and "restored or copied database" in bench.log()
    bench.sql("update sent_identity set timeline = %s", timeline)
    bench.until(m, "sent")


def test_the_best_of_a_customer_goes_first(bench, smtp):
    bench.message(**{"class": "bulk"}, subject="bulk")
    bench.message(priority=10, subject="low")
    bench.message(priority=90, subject="high")
    bench.message(**{"class": "transactional"}, subject="order")
    bench.start()
    assert [m.header("Subject") for m in smtp.wait(4)] == ["order", "high", "low", "bulk"]


def test_a_busy_customer_is_passed_over(bench, smtp):
    bench.customer(2, "bob@example.com")
    a, b = bench.message(1), bench.message(2)
    holder = psycopg2.connect(bench.pg.dsn + " options='-c search_path=nudged'")
    with holder.cursor() as cursor:
        cursor.execute("select from customer where id = 1 for no key update")
    bench.start()
    assert bench.until(b, "sent") and bench.state(a)[0] == "ready"
    holder.close()
    bench.until(a, "sent")


def test_messages_of_a_joined_card_go_to_the_card_that_took_it_over(bench, smtp):
    bench.customer(2, "old@example.com", merged_into=1)
    m = bench.message(2)
    bench.start()
    bench.until(m, "sent")
    assert smtp.messages[0].recipient == "anna@example.com"


def test_a_broken_template_fails_its_message_only(bench, smtp):
    bench.template("c" * 64, html="<title>x</title>{{ with.total | nofilter }}")
    bad, gone, good = bench.message(template_hash="c" * 64), bench.message(template_hash="d" * 64), bench.message()
    bench.start()
    assert bench.until(bad, "failed")[1] == "template" and bench.until(gone, "failed")[1] == "template"
    assert bench.until(good, "sent")


# the dialogue

def test_many_messages_over_one_connection(bench, smtp):
    numbers = [bench.message() for _ in range(30)]
    bench.start()
    for m in numbers:
        bench.until(m, "sent")
    assert len(smtp.commands("EHLO")) == 1 and smtp.connections == 1


def test_per_connection_is_a_cap(pg, smtp):
    bench = Bench(pg, smtp, per_connection=4)
    try:
        for m in [bench.message() for _ in range(10)]:
            last = m
        bench.start()
        bench.until(last, "sent")
        assert smtp.connections == 3
    finally:
        bench.close()


@pytest.mark.parametrize("step", ["rcpt", "data", "dot"])
def test_5xx_is_final(bench, smtp, step):
    smtp.on(step, "550 5.1.1 no such user here", times=1)
    m, after = bench.message(), bench.message()
    bench.start()
    assert bench.until(m, "failed") == ("failed", "550") and bench.until(after, "sent")
    [data] = [d for t, d in bench.inbox() if t == "message.failed"]
    assert data["permanent"] is True and data["address"] == "anna@example.com"
    if step != "data":
        assert smtp.connections == 1  # goes on over the same connection
    [(detail,)] = bench.sql("select detail from message where id = %s", m)
    assert "no such user" in detail


@pytest.mark.parametrize("step", ["connect", "ehlo", "mail", "rcpt", "data", "dot"])
def test_4xx_is_tried_again_with_the_same_message_id(bench, smtp, step):
    smtp.on(step, "451 4.3.0 later", times=1)
    ids = []
    smtp.on("body", lambda s, line: None)
    m = bench.message()
    bench.start()
    bench.until(m, "sent", seconds=15)
    assert len(smtp.messages) == 1
    [(attempts,)] = bench.sql("select attempts from message where id = %s", m)
    assert attempts == 2
    ids = {line for line in smtp.wire if line.lower().startswith(b"message-id")}
    assert len(ids) == 1


def test_a_refused_sender_is_our_fault_and_waits(bench, smtp):
    smtp.on("mail", "550 5.7.1 who are you", times=1)
    m = bench.message()
    bench.start()
    bench.until(m, "sent", seconds=15)
    assert "does not accept the sender" in bench.log()


def test_retries_end(pg, smtp):
    bench = Bench(pg, smtp, retry="1s", retry_most="1s", give_up="60s")
    try:
        smtp.on("rcpt", "450 4.2.1 greylisted")
        m = bench.message()
        bench.sql("update message set attempts = 60 where id = %s", m)
        bench.start()
        assert bench.until(m, "failed") == ("failed", "450")
    finally:
        bench.close()


def test_what_nobody_may_take_stands_before_nothing(bench, smtp):
    """Messages of a store that is configured no more, and of a rule that is paused, and one that may go."""
    for _ in range(120):
        bench.message()
    bench.sql("update message set store = 'gone', due = now() - interval '1 hour' where id %% 2 = 0")
    bench.sql("update message set rule = 'held', due = now() - interval '1 hour' where id %% 2 = 1")
    bench.sql("insert into pause (scope, by) values ('rule:held', 'test')")
    try:
        m = bench.message()
        bench.start()
        bench.until(m, "sent")
        assert len(smtp.messages) == 1
    finally:
        bench.sql("delete from pause")


def test_drop_after_the_dot_is_in_doubt_and_not_resent(bench, smtp):
    smtp.on("dot", DROP, times=1)
    m = bench.message()
    bench.start()
    assert bench.until(m, "in_doubt") == ("in_doubt", "no_answer")
    pause(1.5)
    assert bench.state(m)[0] == "in_doubt" and len(smtp.messages) == 1
    [(kind, news)] = bench.inbox()  # its chain need not wait for it
    assert kind == "message.in_doubt" and news["message_id"] == str(m) and news["code"] == "no_answer"
    after = bench.message()
    bench.until(after, "sent")


def test_stall_after_the_dot_is_in_doubt(pg, smtp):
    bench = Bench(pg, smtp, timeout="1s")
    try:
        smtp.on("dot", STALL, times=1)
        m = bench.message()
        bench.start()
        bench.until(m, "in_doubt", seconds=20)
    finally:
        bench.close()


@pytest.mark.parametrize("step,action", [("connect", STALL), ("connect", DROP), ("mail", STALL), ("rcpt", DROP),
                                         ("data", DROP), ("data", STALL)])
def test_broken_off_before_the_text_is_never_in_doubt(pg, smtp, step, action):
    bench = Bench(pg, smtp, timeout="1s")
    try:
        smtp.on(step, action, times=1)
        m = bench.message()
        bench.start()
        bench.until(m, "sent", seconds=20)
        [(doubts,)] = bench.sql("select doubts from message where id = %s", m)
        assert doubts == 0 and len(smtp.messages) == 1
    finally:
        bench.close()


def test_a_server_that_hangs_up_inside_the_text_leaves_no_doubt(bench, smtp):
    smtp.on("body", DROP, times=1)
    m = bench.message(data={"with": {"total": 1}, "attach": [{"name": "a.bin", "content": "AAAA" * 1500000}]})
    bench.start()
    bench.until(m, "sent", seconds=20)
    assert bench.sql("select doubts, attempts from message where id = %s", m) == [(0, 2)]


@pytest.mark.parametrize("split", [False, True])
def test_chunking_is_not_used(pg, split):
    """libesmtp writes all chunks before it reads an answer, and takes the last for the whole: so it must not see the word."""
    with Smtpd(extensions=("PIPELINING", "CHUNKING", "8BITMIME", "ENHANCEDSTATUSCODES")) as smtp:
        def in_two_pieces(session, line):
            session.sock.sendall(b"250-smtpd.test\r\n250-PIPELINING\r\n250-CHUN")
            pause(0.2)  # so that they are read one by one
            return "KING\r\n250 HELP"

        if split:
            smtp.on("ehlo", in_two_pieces)
        bench = Bench(pg, smtp, timeout="1s")
        try:
            smtp.on("dot", STALL, times=1)
            doubtful = bench.message()
            bench.start()
            bench.until(doubtful, "in_doubt", seconds=20)
            m = bench.message()
            bench.until(m, "sent", seconds=20)
            assert not [line for _, line in smtp.log if line.upper().startswith("BDAT")]
        finally:
            bench.close()


def test_a_server_that_stalls_inside_the_text_gets_all_of_it(pg, smtp):
    """The library drops what it can not write in time and goes on behind it: nothing may be missing from what was taken."""
    content = base64.b64encode(random.Random(7).randbytes(4500000)).decode()
    smtp.on("connect", lambda session, line: session.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 17))
    smtp.on("body", lambda session, line: pause(3))
    bench = Bench(pg, smtp, timeout="1s")
    try:
        m = bench.message(data={"with": {"total": 1}, "attach": [{"name": "a.bin", "content": content}]})
        bench.start()
        bench.until(m, "sent", seconds=40)
        [part] = list(smtp.messages[0].mail.iter_attachments())
        assert part.get_content() == base64.b64decode(content)
    finally:
        bench.close()


def test_nobody_let_in_is_no_reason_to_hurry(bench, smtp):
    """P16: a server that asks for another password is out of order: one try, then a rest, not the whole queue."""
    smtp.on("mail", "530 5.7.0 authentication required")
    numbers = [bench.message() for _ in range(20)]
    bench.start()
    until(lambda: bench.sql("select sum(attempts) from message")[0][0] >= 1)
    pause(1.5)
    [(attempts,)] = bench.sql("select sum(attempts) from message")
    assert attempts <= 4, attempts
    assert {bench.state(m)[0] for m in numbers} == {"ready"}


def test_a_server_too_slow_for_a_claim_takes_messages_through_their_retries(pg, smtp):
    """Each step in time, all together longer than claim_time: found stale once, then it counts and ends some day."""
    smtp.on("rcpt", lambda session, line: pause(1.2))
    bench = Bench(pg, smtp, timeout="2s", claim_time="1s")
    try:
        m = bench.message()
        bench.start()
        until(lambda: bench.sql("select attempts, code from message where id = %s", m) == [(2, "slow")], 20)
        assert bench.state(m)[0] == "ready" and not smtp.messages
    finally:
        bench.close()


def test_a_dripping_server_is_cut(pg, smtp):
    bench = Bench(pg, smtp, timeout="1s")
    try:
        smtp.on("ehlo", DRIP, times=1)
        m = bench.message()
        bench.start()
        bench.until(m, "sent", seconds=30)
    finally:
        bench.close()


def test_no_server_takes_no_message_through_its_retries(pg):
    bench = Bench(pg, None)
    try:
        numbers = [bench.message() for _ in range(5)]
        bench.start()
        pause(2.5)
        [(attempts,)] = bench.sql("select sum(attempts) from message")
        assert 1 <= attempts <= 3
        assert {bench.state(m)[0] for m in numbers} == {"ready"}
    finally:
        bench.close()


def test_transactional_mail_in_doubt_is_resent_once_where_configured(pg, smtp):
    bench = Bench(pg, smtp, resend_in_doubt="yes")
    try:
        smtp.on("dot", DROP, times=2)
        m, ad = bench.message(**{"class": "transactional"}), bench.message()
        bench.start()
        assert bench.until(ad, "in_doubt")
        assert bench.until(m, "ready") == ("ready", "in_doubt")
        assert [news["message_id"] for _, news in bench.inbox()] == [str(ad)]  # the other one is not over
        smtp.on("dot", DROP, times=1)
        bench.sql("update message set due = now() where id = %s", m)
        assert bench.until(m, "in_doubt")
        a, _, b = smtp.messages
        assert a.header("Message-ID") == b.header("Message-ID")
    finally:
        bench.close()


# TLS and AUTH

@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(str(tmp_path_factory.mktemp("tls")))


def test_starttls_with_name_and_password(pg, certificates):
    root, context = certificates
    names = []
    context.sni_callback = lambda sock, name, ctx: names.append(name)
    with Smtpd(tls=context, users={"nudged": "secret"}) as smtp:
        bench = Bench(pg, smtp, starttls="required", ca_file=root, user="nudged", password="secret")
        try:
            numbers = [bench.message() for _ in range(5)]
            bench.start()
            for m in numbers:
                bench.until(m, "sent")
            assert all(m.tls and m.user == "nudged" for m in smtp.messages)
            assert set(names) == {"localhost"} and smtp.connections < len(numbers)
        finally:
            bench.close()


@pytest.mark.parametrize("case", ["unknown root", "wrong name", "stripped"])
def test_tls_required_sends_nothing_without(pg, certificates, tmp_path, case):
    root, context = certificates
    if case == "wrong name":
        root, context = make_certificates(str(tmp_path), "elsewhere.test")
    with Smtpd(tls=None if case == "stripped" else context, users={"u": "p"}) as smtp:
        bench = Bench(pg, smtp, starttls="required", user="u", password="p",
                      **({} if case == "unknown root" else {"ca_file": root}))
        try:
            m = bench.message()
            bench.start()
            assert bench.until(m, "ready")
            pause(1)
            assert bench.state(m)[0] == "ready" and not smtp.messages
            assert not smtp.commands("MAIL") and not smtp.commands("AUTH")
            assert ("STARTTLS" if case == "stripped" else "certificate") in bench.log()
        finally:
            bench.close()


def test_tls_if_offered_takes_any_certificate(pg, certificates):
    _, context = certificates
    with Smtpd(tls=context) as smtp:
        bench = Bench(pg, smtp, starttls="if_offered")
        try:
            bench.until(bench.message(), "sent") if bench.start() else None
            assert smtp.messages[0].tls
        finally:
            bench.close()


def test_another_server_takes_it_too(pg):
    """aiosmtpd, which is not ours: it knows the protocol better than our fixture."""
    from aiosmtpd.controller import Controller

    class Keep:
        def __init__(self):
            self.mails = []

        async def handle_DATA(self, server, session, envelope):
            self.mails.append(envelope)
            return "250 kept"

    keep = Keep()
    controller = Controller(keep, hostname="127.0.0.1", port=free_port())
    controller.start()
    bench = Bench(pg, None, port=controller.port)
    try:
        numbers = [bench.message() for _ in range(3)]
        bench.start()
        for m in numbers:
            bench.until(m, "sent")
        assert len(keep.mails) == 3 and keep.mails[0].rcpt_tos == ["anna@example.com"]
    finally:
        bench.close()
        controller.stop()


def test_a_record_that_the_database_refuses_holds_up_nothing(bench, smtp):
    bench.sql("""create function refuse() returns trigger language plpgsql as $$ begin
        raise exception 'no'; end $$""")
    bench.sql("""create trigger refuse before update on message for each row
        when (new.state = 'sent' and new.id = 1) execute function refuse()""")
    m, n = bench.message(), bench.message()
    assert m == 1
    bench.start()
    assert bench.until(m, "in_doubt") == ("in_doubt", "courier_gone")
    assert ("message.in_doubt", str(m)) in [(kind, news["message_id"]) for kind, news in bench.inbox()]
    assert bench.until(n, "sent")
    assert len(smtp.wait(2)) == 2


# publish

MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


class Broker:
    def __init__(self, directory):
        self.port = free_port()
        self.config = os.path.join(directory, "mosquitto.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n")
        self.start()

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", self.config], stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def broker(tmp_path):
    if not os.path.exists(MOSQUITTO):
        pytest.skip("mosquitto is not installed")
    b = Broker(str(tmp_path))
    yield b
    b.stop()


def listen(broker):
    import paho.mqtt.client as mqtt

    got = []
    client = mqtt.Client()
    client.on_message = lambda c, arg, m: got.append((m.topic, m.payload.decode(), m.qos))
    client.connect("127.0.0.1", broker.port)
    client.subscribe("#", 1)
    client.loop_start()
    time.sleep(0.2)
    return client, got


def test_publish(bench, broker):
    bench.write(mqtt=broker.port)
    client, got = listen(broker)

    def publish(topic, payload):
        return bench.message(channel="publish", template=None, template_hash=None,
                             data={"topic": topic, "payload": payload})

    a, b, bad, loop = publish("stock", {"sku": "x", "n": 1}), publish("words", "Привіт"), publish("a/#", 1), publish("events/x", 1)
    bench.start("publish")
    assert bench.until(a, "sent") and bench.until(b, "sent")
    assert bench.until(bad, "failed") == ("failed", "bad_topic") and bench.until(loop, "failed")
    time.sleep(0.2)
    assert sorted(got) == [("nudged/shop/stock", '{"sku": "x", "n": 1}', 1), ("nudged/shop/words", "Привіт", 1)]
    broker.stop()
    c = publish("stock", 2)
    pause(1)
    assert bench.until(c, "ready")
    broker.start()
    assert bench.until(c, "sent", seconds=20)
    client.loop_stop()


def test_publish_without_puback_is_in_doubt(bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        bench.write(mqtt=server.getsockname()[1])
        m = bench.message(channel="publish", data={"topic": "t", "payload": 1})
        bench.start("publish")
        s, _ = server.accept()
        s.recv(1000)
        s.sendall(b"\x20\x02\x00\x00")  # CONNACK
        assert s.recv(1000)
        assert bench.until(m, "in_doubt") == ("in_doubt", "no_puback")
        # P14: what is in doubt is not sent again with the next message
        n = bench.message(channel="publish", data={"topic": "t", "payload": 2})
        s.close()
        s, _ = server.accept()
        s.recv(1000)
        s.sendall(b"\x20\x02\x00\x00")
        s.settimeout(1)
        got = b""
        with contextlib.suppress(TimeoutError):
            while part := s.recv(1000):
                got += part
        assert bench.until(n, "sending", "in_doubt")
        assert got.count(b"nudged/shop/t") == 1 and got.endswith(b"2")


def test_publish_only_to(bench, broker):
    bench.write(mqtt=broker.port, publish="only_to = nudged/shop/test/#")
    a = bench.message(channel="publish", data={"topic": "test/x", "payload": 1})
    b = bench.message(channel="publish", data={"topic": "real", "payload": 1})
    bench.start("publish")
    assert bench.until(a, "sent") and bench.until(b, "refused") == ("refused", "only_to")


# crashes

POINTS = ["claim.before_commit", "claim.after_commit", "mail.before_body", "mail.after_body", "mail.before_record",
          "mail.after_record"]


@needs_failpoints
@pytest.mark.parametrize("point", POINTS)
def test_kill_at_each_step_once_or_in_doubt(bench, smtp, point):
    numbers = [bench.message() for _ in range(6)]
    courier = bench.start(failpoint=f"{point}:3")
    assert courier.wait(10) == -signal.SIGKILL
    bench.start()
    states = [bench.until(m, "sent", "in_doubt")[0] for m in numbers]
    assert states.count("in_doubt") <= 1
    if point in ("claim.before_commit", "mail.after_record"):
        assert "in_doubt" not in states
    got = [int(m.header("Message-ID")[2:].split(".")[0]) for m in smtp.messages]
    assert len(got) == len(set(got))                                   # never twice
    for m, state in zip(numbers, states):
        assert state == "in_doubt" or m in got                         # sent means sent
    told = [d["message_id"] for t, d in bench.inbox() if t == "message.sent"]
    assert sorted(told) == sorted(str(m) for m, s in zip(numbers, states) if s == "sent")


@needs_failpoints
def test_transactional_mail_of_the_dead_is_in_doubt_and_not_resent(bench, smtp):
    """... where resending is not configured."""
    m = bench.message(**{"class": "transactional"})
    assert bench.start(failpoint="mail.after_body:1").wait(10) == -signal.SIGKILL
    bench.start()
    assert bench.until(m, "sent", "in_doubt", "ready") == ("in_doubt", "courier_gone")
    assert len(smtp.messages) <= 1 and [t for t, _ in bench.inbox()] == ["message.in_doubt"]


@needs_failpoints
def test_kill_rounds(bench, smtp):
    """Couriers die at random places, NUDGED_ROUNDS times."""
    rounds = int(os.environ.get("NUDGED_ROUNDS", "200"))
    rng = random.Random(7)
    for i in range(20):
        bench.customer(100 + i, f"c{i}@example.com")
    numbers, killed = [], 0
    while killed < rounds:
        numbers += [bench.message(100 + rng.randrange(20)) for _ in range(4)]
        courier = bench.start(failpoint=f"{rng.choice(POINTS)}:{rng.randint(1, 4)}")
        if courier.wait(20) == -signal.SIGKILL:
            killed += 1
    bench.start()
    states = {m: bench.until(m, "sent", "in_doubt")[0] for m in numbers}
    got = [int(m.header("Message-ID")[2:].split(".")[0]) for m in smtp.messages]
    assert len(got) == len(set(got))
    assert {m for m, s in states.items() if s == "sent"} <= set(got)
    assert sum(s == "in_doubt" for s in states.values()) <= killed
    told = [d["message_id"] for t, d in bench.inbox() if t == "message.sent"]
    assert sorted(told) == sorted(str(m) for m, s in states.items() if s == "sent")


@needs_failpoints
def test_a_frozen_courier_gives_its_message_back(pg, smtp):
    bench = Bench(pg, smtp, claim_time="1s", timeout="20s")
    try:
        m = bench.message()
        courier = bench.start(failpoint="claim.after_commit:1:stop")
        bench.until(m, "sending")
        bench.start()
        pause(1.5)
        assert bench.state(m)[0] == "sending"  # its connection lives: not to be touched
        courier.send_signal(signal.SIGCONT)
        bench.until(m, "sent")
        assert len(smtp.messages) == 1
        [(attempts,)] = bench.sql("select attempts from message where id = %s", m)
        assert attempts == 1
    finally:
        bench.close()


def test_what_was_sent_is_recorded_when_the_database_comes_back(bench, smtp):
    def crash(session, line):
        bench.pg.stop("immediate")

    smtp.on("dot", crash, times=1)
    m = bench.message()
    bench.start()
    smtp.wait(1, 20)
    pause(1)
    bench.pg.start()
    bench.db = psycopg2.connect(bench.pg.dsn + " options='-c search_path=nudged'")
    bench.db.autocommit = True
    bench.until(m, "sent", seconds=20)
    assert len(smtp.messages) == 1 and len(bench.inbox()) == 1


def test_two_couriers_send_nothing_twice(bench, smtp):
    for i in range(40):
        bench.customer(100 + i, f"c{i}@example.com")
    numbers = [bench.message(100 + i) for i in range(40)]
    bench.start()
    bench.start()
    for m in numbers:
        bench.until(m, "sent", seconds=20)
    assert len(smtp.messages) == 40 and len({m.recipient for m in smtp.messages}) == 40


def test_sigterm_finishes_the_message_in_hand(bench, smtp):
    courier = bench.start()
    smtp.on("dot", lambda s, line: (courier.send_signal(signal.SIGTERM), time.sleep(0.3))[0], times=1)
    a, b = bench.message(), bench.message()
    assert bench.until(a, "sent") and courier.wait(5) == 0
    assert bench.state(b)[0] == "ready" and len(smtp.messages) == 1


def test_metrics_count_what_became_of_messages(bench, smtp):
    smtp.on("rcpt", "550 5.1.1 no", times=1)
    bad, good, late = bench.message(), bench.message(), bench.message(expires="2026-01-01")
    courier = bench.start()
    assert bench.until(bad, "failed") and bench.until(good, "sent") and bench.until(late, "expired")
    bench.stop(courier)
    out = open(bench.logs[0] + ".out", encoding="utf-8").read()
    for state in ("sent", "failed", "expired"):
        assert any("email" in line and state in line and line.endswith(" 1") for line in out.splitlines()), out


def test_sighup_takes_the_new_configuration(bench, smtp):
    courier = bench.start()
    bench.until(bench.message(), "sent")
    with Smtpd() as other:
        bench.write(port=other.port)
        courier.send_signal(signal.SIGHUP)
        pause()
        bench.until(bench.message(), "sent")
        assert len(other.messages) == 1
    assert bench.stop(courier) == [0]


def test_what_comes_back_out_of_doubt_goes_without_its_chain(bench, smtp):
    """P14, P9: somebody else found the courier gone, so the chain ended; then the courier itself says it was not sent."""
    bench.sql("insert into chain (id, customer, store, rule, key, text_hash, level, state, started, event) "
              "values (77, 1, 'shop', 'cart', '', 'x', 1, 'settling', now(), '{}')")
    seen = threading.Event()

    def gone(session, line):
        bench.sql("update message set state = 'in_doubt' where chain = 77")
        bench.sql("delete from chain where id = 77")
        seen.set()
        return "451 4.3.0 come back"

    smtp.on("dot", gone, times=1)
    number = bench.message(chain=77)
    courier = bench.start()
    assert seen.wait(20)
    until = time.monotonic() + 20
    while bench.state(number)[0] != "ready" and time.monotonic() < until:
        time.sleep(0.02)
    assert bench.state(number)[0] == "ready"
    bench.sql("update message set due = clock_timestamp()")
    assert bench.until(number, "sent")
    assert len(smtp.messages) == 1
    assert bench.stop(courier) == [0]
