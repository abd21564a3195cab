/* sql.c: every statement of the program.
 *
 * Names are found through search_path (nudged); plans are generic, so a statement must be good for any
 * parameters: no statement depends on an estimate (lanes switch off sequential scans and hash joins: all
 * access is by key), LIMITs are literals, rows of a batch come through unnest: narrow ones as an array per
 * column, wide ones as an array of rows (sql/005_rows.sql).
 *
 * Keys that two transactions may both insert are inserted in order, so that nobody waits in a circle.
 * A statement that locks reads the locked row and nothing else (doc/architecture.md, Locks).
 */
#include "db/sql.h"

#include <stddef.h>

#define CARD_COLUMNS                                                                                   \
	"id, base, hidden, merged_into, identity_version, email, phone, name, first_name, last_name, " \
	"lang, tz, city, birthday, gender, manager, first_source, orders_count, "                      \
	"orders_total::float8, orders_first_at, orders_last_at, orders_last_id, created_at, "          \
	"last_seen_at, tags, attributes, consent, suppressed, cart, spend"

/* VISIT_GONE_MOST of the cards that this one has taken over. */
#define CARD_GONE                                                                                  \
	", case when identity_version > 0 then array(select t.id from customer t "                 \
	"where t.merged_into = customer.id and t.merged_into <> 0 limit 100) end"

#define ORDER_COLUMNS                                                                                 \
	"o.customer, o.store, o.id, o.number, o.status, o.currency, o.payment, o.channel, o.coupon, " \
	"o.tracking_number, o.carrier, o.tracking_url, o.total::float8, o.refunded::float8, "         \
	"o.placed_at, o.delivery_at, o.delivery_until, o.updated_at, o.cancelled, o.products, "       \
	"o.stamps"

#define TASK_COLUMNS                                                                               \
	"t.customer, t.id, t.chain, t.store, t.rule, t.title, t.text, t.manager, t.\"group\", "    \
	"t.order_id, t.call, t.results, t.result, t.priority, t.created, t.deadline, t.remind, "   \
	"t.taken_at, t.done_at, t.overdue, t.keep, t.state"

/* First parameters: rows, by their place in sql_rows. */
#define ROW_EVENT "1"
#define ROW_IDENTITY "2"
#define ROW_ORDER "3"
#define ROW_ACTIVITY "4"
#define ROW_PROFILE "5"
#define ROW_CHAIN "6"
#define ROW_MESSAGE "7"
#define ROW_TASK "8"
#define ORDER_ROWS "unnest($1::order_row[]) u"
#define TASK_ROWS "unnest($1::task_row[]) u"
#define CHAIN_ROWS "unnest($1::chain_row[]) u"

/* In the partitions in which a key may be met.  The clocks of doors may differ: by a day, and within the month that is
 * written to by anything, or its event would collide for ever.  The end keeps the partitions of later months out. */
#define EVENT_IS_NEAR                                                                              \
	"e.received > now() - interval '33 days' and e.received < greatest("                       \
	"now() + interval '1 day', (date_trunc('month', now() at time zone 'UTC') "                \
	"+ interval '1 month') at time zone 'UTC')"

#define CHAIN_LIVE_DUE "h.wake_at is not null and h.state in ('waiting', 'settling', 'queued')"
/* The timeline that is written on, from the name of the log file: what the control file says is that of the last
 * checkpoint, which after a promotion may be minutes away. */
#define TIMELINE "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int4"
/* Deadlines rest in a restored copy, as sends do, until a person says what it is (P23). */
#define NO_COPY                                                                                    \
	"not exists (select from sent_identity si, pg_control_system() cs "                        \
	"where si.system_identifier <> cs.system_identifier or si.timeline <> " TIMELINE ")"
#define TASK_LIVE_DUE "k.deadline is not null and not k.overdue and k.state in ('open', 'taken')"

/* One table of SQL_JOIN_MOVE. */
#define JOIN_MOVE(table)                                                                           \
	"move_" table " as (update " table                                                         \
	" x set customer = w.living from w where x.customer = w.gone), "

#define OLDER_THAN "now() - make_interval(months => $1)"

/* Due messages of one class, those of paused rules left out: they would stand before all others. */
#define CLAIM_LANE(lane, class)                                                                    \
	"(select m.customer, " lane " as lane, m.due from message m where m.channel = $1 "         \
	"and m.class = '" class "' and m.state = 'ready' and m.due <= now() "                      \
				"and m.store = any($2) and not exists (select from pause p "       \
				"where p.scope = 'rule:' || m.rule) order by m.due limit 20)"

/* Types: exact ones in an array, beginnings of patterns in another. */
#define QUERY_WHERE                                                                                                   \
	"where e.customer = $1 and e.seq < $2 "                                                                       \
	"and e.time >= coalesce($3, '-infinity'::timestamptz) "                                                       \
	"and e.received >= coalesce($3, '-infinity'::timestamptz) - interval '1 hour' and ($4 = '' or e.store = $4) " \
	"and (e.type = any($5) or e.type ^@ any($6))"

#define API_TASK_COLUMNS                                                                           \
	"t.id, t.customer, t.chain, t.store, t.rule, t.title, t.text, t.manager, t.\"group\", "    \
	"t.order_id, t.call, t.results, t.result, t.priority, t.created, t.deadline, t.remind, "   \
	"t.taken_at, t.done_at, t.overdue, t.state"
#define API_MESSAGE_COLUMNS                                                                        \
	"t.id, t.customer, t.chain, t.store, t.rule, t.channel, t.class, t.priority, t.template, " \
	"t.lang, t.address, t.subject, t.reason, t.created, t.due, t.expires, t.state, t.code, "   \
	"t.detail, t.attempts, t.sent_at, t.provider_id, t.outcome, t.outcome_at, "                \
	"t.delivered_at, t.opened_at, t.clicked_at, t.replied_at, t.bounced_at, t.verdict"
#define API_CHAIN_COLUMNS                                                                          \
	"t.id, t.customer, t.store, t.rule, t.key, t.text_hash, t.state, t.started, t.ended, "     \
	"t.wake_at, t.awaits, t.reason"
#define API_CHAIN_LIVE                                                                             \
	"(select id, customer, store, rule, key, text_hash, state, started, "                      \
	"null::timestamptz as ended, wake_at, to_json(awaits) as awaits, reason from chain) t"
#define API_CHAINS_OF(customer)                                                                    \
	"(select id, customer, store, rule, key, text_hash, state, started, "                      \
	"null::timestamptz as ended, wake_at, to_json(awaits) as awaits, reason "                  \
	"from chain where customer = " customer                                                    \
	" union all select id, customer, store, rule, key, text_hash, state, started, ended, "     \
	"null, null, reason from chain_log where customer = " customer ") t"

/* A list, newest first, of the rows before $1, at most $2 of them.  It looks at 10,000 rows at most, so
 * that a filter that fits nothing does not read the table: the first columns say how far it came. */
#define API_LIST(columns, from, where, hit)                                                        \
	"with s as materialized (select t.id, (" hit ") as hit from " from " where " where         \
	" and t.id < $1 order by t.id desc limit 10000) "                                          \
	"select x.low, x.seen, " columns " from (select min(id) as low, count(*) as seen from s) " \
	"x left join (select id from s where hit order by id desc limit $2) h on true "            \
	"left join " from " on t.id = h.id order by h.id desc nulls last"
/* The same of one customer ($7), by his index. */
#define API_LIST_OF(columns, from, hit)                                                            \
	"select null::bigint, 0::bigint, " columns " from " from                                   \
	" where t.customer = $7 and t.id < $1 and " hit " order by t.id desc limit $2"

#define API_TASK_HIT                                                                               \
	"($3 = '' or t.state = $3 "                                                                \
	"or ($3 = 'overdue' and t.overdue and t.state in ('open', 'taken'))) "                     \
	"and ($4 = '' or t.manager = $4) and ($5 = '' or t.\"group\" = $5) "                       \
	"and ($6 = '' or t.store = $6)"
#define API_MESSAGE_HIT                                                                            \
	"($3 = '' or t.state = $3) and ($4 = '' or t.channel = $4) and ($5 = '' or t.rule = $5) "  \
	"and ($6 = '' or t.store = $6)"
#define API_CHAIN_HIT                                                                              \
	"($3 = '' or t.state = $3) and ($4 = '' or t.key = $4) and ($5 = '' or t.rule = $5) "      \
	"and ($6 = '' or t.store = $6)"

/* A customer's ($1) timeline behind ($2, $3), of store $4 or all, at most $5 entries. */
#define LINE(at, id, columns, from, where)                                                         \
	"select " at ", " id ", " columns " from " from " where " where " and (" at ", " id        \
	") > ($2, $3) order by 1, 2 limit $5"
/* Notes and changes of consent belong to the store of the event or chain that they came from. */
#define LINE_OF_STORE                                                                              \
	"($4 = '' or exists (select from event e where e.customer = $1 and e.seq = t.seq "         \
	"and e.store = $4)"

/* Due work, oldest first, but not that of one customer (0: of nobody). */
#define PICK_CHAIN(limit)                                                                          \
	[SQL_PICK_CHAIN_##limit] = { "pick_chain_" #limit, "in",                                   \
		"select c.id, h.id from chain h join customer c on c.id = h.customer "             \
		"where " CHAIN_LIVE_DUE " and h.wake_at <= now() and h.level <= $2 "               \
		"and c.merged_into = 0 and c.id <> $1 "                                            \
		"order by h.wake_at limit " #limit " for no key update of c skip locked",          \
		SQL_LANE, false }
#define PICK_TASK(limit)                                                                           \
	[SQL_PICK_TASK_##limit] = { "pick_task_" #limit, "i",                                      \
		"select c.id, k.id from task k join customer c on c.id = k.customer "              \
		"where " TASK_LIVE_DUE " and " NO_COPY                                             \
		" and k.deadline <= now() and c.merged_into = 0 and c.id <> $1 "                   \
		"order by k.deadline limit " #limit " for no key update of c skip locked",         \
		SQL_LANE, false }
/* A row may name a card that was joined meanwhile: whoever has that one now is meant.  The lateral lock keeps
 * the order: due rows first, one customer each, no further than the limit. */
#define PICK_INBOX(limit)                                                                              \
	[SQL_PICK_INBOX_##limit] = { "pick_inbox_" #limit, "i",                                        \
		"select c.id, p.id, p.merged <> 0 from (select i.id, i.due, i.customer, "              \
		"(select t.merged_into from customer t where t.id = i.customer) as merged "            \
		"from inbox i where i.due <= now() order by i.due offset 0) p "                        \
		"cross join lateral (select x.id from customer x where x.id = "                        \
		"case p.merged when 0 then p.customer else living_card(p.merged) end "                 \
		"and x.merged_into = 0 and x.id <> $1 for no key update skip locked) c limit " #limit, \
		SQL_LANE, false }

#define ASIDE_LOCK(table)                                                                          \
	"select k.id from " table " x join customer k on k.id = x.customer where x.id = $1 "       \
	"for no key update of k skip locked"

const struct sql_row sql_rows[SQL_ROWS] = {
	{ "event_row", "tsssuiisttnijj" },
	{ "identity_row", "snsi" },
	{ "order_row", "isssssssssssffttttbjj" },
	{ "activity_row", "iifttstjj" },
	{ "profile_row", "issssssssssssjjjj" },
	{ "chain_row", "iissssnsttssssjjjb" },
	{ "message_row", "iiissssnsssjsssttbsst" },
	{ "task_row", "iiissssssssjsntttttbbs" },
};

int sql_row_of(const struct sql *s)
{
	return s->params[0] >= '1' && s->params[0] < '1' + SQL_ROWS ? s->params[0] - '1' : -1;
}

const struct sql sql_table[SQL_COUNT] = {
	/*** transactions ***/
	[SQL_BEGIN] = { "begin", "", "begin", SQL_LANE, false },
	[SQL_BEGIN_SNAPSHOT] = { "begin_snapshot", "",
		"begin isolation level repeatable read read only", SQL_LANE, false },
	[SQL_COMMIT] = { "commit", "", "commit", SQL_LANE, false },
	[SQL_ROLLBACK] = { "rollback", "", "rollback", SQL_LANE | SQL_KEEPER, false },
	/* a plan that was made while a table was nearly empty reads all of it when it has grown, until the next ANALYZE */
	[SQL_PLAN_ANEW] = { "plan_anew", "", "discard plans", SQL_LANE | SQL_TOOL, false },
	[SQL_PATIENT] = { "patient", "", "set local lock_timeout = '1s'", SQL_LANE, false },

	/*** identify ***/
	[SQL_IDENTITY_FIND] = { "identity_find", "SNS",
		"select u.n, c.id, c.identity_version, u.kind in (4, 5, 6) and not exists "
		"(select from identity s where s.customer = c.id and s.kind not in (4, 5, 6)) "
		"from unnest($1::text[], $2::int[], $3::text[]) with ordinality u(base, kind, value, n) "
		"join identity i on i.value = u.value and i.kind = u.kind::smallint and i.base = u.base "
		"join customer t on t.id = i.customer join customer c on c.id = "
		"case t.merged_into when 0 then t.id else living_card(t.merged_into) end",
		SQL_LANE, false },
	/* our own numbers; a card that was taken over leads to the one that took it */
	[SQL_IDENTITY_FIND_NUMBER] = { "identity_find_number", "SI",
		"with recursive r as (select u.n, c.id, c.merged_into, c.identity_version "
		"from unnest($1::text[], $2::bigint[]) with ordinality u(base, id, n) "
		"join customer c on c.id = u.id and c.base = u.base "
		"union select r.n, c.id, c.merged_into, c.identity_version from r "
		"join customer c on c.id = r.merged_into where r.merged_into <> 0) "
		"select n, id, identity_version, false from r where merged_into = 0",
		SQL_LANE, false },
	/* who loses the race for an identity makes no card; he finds it with the next find */
	[SQL_IDENTITY_MAKE] = { "identity_make", "SNSI",
		"with won as (insert into identity (base, kind, value, customer) "
		"select base, kind::smallint, value, "
		"case card when 0 then nextval('customer_no') else card end "
		"from unnest($1::text[], $2::int[], $3::text[], $4::bigint[]) u(base, kind, value, card) "
		"on conflict do nothing returning base, kind, value, customer), "
		"made as (insert into customer (id, base, hidden, email, phone, created_at, last_seen_at) "
		"select customer, base, kind = 7, case kind when 2 then value end, "
		"case kind when 3 then value end, clock_timestamp(), clock_timestamp() from won "
		"where customer <> all($4)) "
		"select base, kind::int, value, customer from won",
		SQL_LANE, false },

	/*** load ***/
	[SQL_CARD_LOCK] = { "card_lock", "I",
		"select " CARD_COLUMNS CARD_GONE
		" from customer where id = any($1) for no key update skip locked",
		SQL_LANE, false },
	[SQL_CARD_LOCK_PATIENT] = { "card_lock_patient", "I",
		"select " CARD_COLUMNS CARD_GONE
		" from customer where id = any($1) order by id for no key update",
		SQL_LANE, false },
	[SQL_CARD_READ] = { "card_read", "I",
		"select " CARD_COLUMNS CARD_GONE " from customer where id = any($1)", SQL_LANE,
		false },
	/* $2 types and patterns, $3 due until, $4 customers all of whose awaiting chains may be woken.  Whose body is
	 * wanted is found behind "offset 0": else it is found anew for each column that depends on it */
	[SQL_CHAIN_READ] = { "chain_read", "ISti",
		"select h.customer, h.id, h.store, h.rule, h.key, h.text_hash, h.level, h.state, "
		"h.started, h.wake_at, h.awaits, h.exits, h.open, h.reason, "
		"case when h.body then h.event end, case when h.body then h.history end, "
		"case when h.body then h.arrived end, h.body, h.due "
		"from unnest($1::bigint[]) u(customer), lateral (select h.*, d.due, "
		"d.due or h.awaits && $2 or ($4 <> 0 and h.awaits <> '{}') as body from chain h, "
		"lateral (select coalesce(" CHAIN_LIVE_DUE " and h.wake_at <= $3, false)) d(due) "
		"where h.customer = u.customer offset 0) h order by h.id",
		SQL_LANE, true },
	[SQL_EVENT_KNOWN] = { "event_known", "SSS",
		"select u.n, e.content_hash "
		"from unnest($1::text[], $2::text[], $3::text[]) with ordinality u(id, source, store, n) "
		"join event e on e.id = u.id and e.source = u.source and e.store = u.store "
		"and " EVENT_IS_NEAR,
		SQL_LANE, false },
	[SQL_RULE_LAST_READ] = { "rule_last_read", "I",
		"select customer, rule, key, started from rule_last where customer = any($1)",
		SQL_LANE, false },
	[SQL_ORDER_READ] = { "order_read", "SS",
		"select " ORDER_COLUMNS ", u.n "
		"from unnest($1::text[], $2::text[]) with ordinality u(store, id, n), "
		"lateral (select * from orders where id = u.id and store = u.store offset 0) o",
		SQL_LANE, false },
	[SQL_INBOX_READ] = { "inbox_read", "It",
		"select i.customer, i.id, i.store, i.type, i.data, exists (select from event e "
		"where e.id = 'inbox:' || i.id and e.source = '' and e.store = i.store "
		"and " EVENT_IS_NEAR ") "
		"from inbox i where i.customer = any($1) and i.due <= $2 order by i.id limit 500",
		SQL_LANE, false },
	/* $4: also those that due rows of the inbox are about */
	[SQL_TASK_READ] = { "task_read", "ItIb",
		"select " TASK_COLUMNS ", coalesce(t.deadline <= $2 and not t.overdue "
		"and t.state in ('open', 'taken') and " NO_COPY
		", false), (select l.key from chain_log l where l.customer = t.customer and l.id = t.chain limit 1) "
		"from task t where t.customer = any($1) "
		"and ((t.deadline <= $2 and not t.overdue and t.state in ('open', 'taken')) "
		"or t.id = any($3) or t.id in "
		"(select case when i.data ->> 'task_id' ~ '^[0-9]{1,18}$' "
		"then (i.data ->> 'task_id')::bigint end from inbox i "
		"where $4 and i.customer = any($1) and i.due <= $2)) order by t.id",
		SQL_LANE, true },
	[SQL_CURRENT] = { "current", "",
		"select set_id, switches_version, clock_timestamp(), nextval('batch_no') from current",
		SQL_LANE, false },
	[SQL_CLOCK] = { "clock", "", "select clock_timestamp()", SQL_LANE, false },
	/* of all hosts: who has a first lane here (store/pg names them) */
	[SQL_ENGINES] = { "engines", "",
		"select count(*) from pg_stat_activity where datname = current_database() "
		"and application_name ~ '^nudged engine[0-9]+ 1$'",
		SQL_LANE, false },
	/* $3: timers and deadlines are left alone */
	[SQL_NEXT_DUE] = { "next_due", "Inb",
		"select least((select min(h.wake_at) from chain h where not $3 and " CHAIN_LIVE_DUE
		" and h.level <= $2 and h.customer <> all($1)), "
		"(select min(k.deadline) from task k where not $3 and " TASK_LIVE_DUE
		" and " NO_COPY " and k.customer <> all($1)), "
		"(select min(i.due) from inbox i where i.customer <> all($1)))",
		SQL_LANE, false },
	PICK_CHAIN(1),
	PICK_CHAIN(10),
	PICK_CHAIN(50),
	PICK_CHAIN(200),
	PICK_CHAIN(500),
	PICK_TASK(1),
	PICK_TASK(10),
	PICK_TASK(50),
	PICK_TASK(200),
	PICK_TASK(500),
	PICK_INBOX(1),
	PICK_INBOX(10),
	PICK_INBOX(50),
	PICK_INBOX(200),
	PICK_INBOX(500),

	[SQL_INBOX_FOLLOW] = { "inbox_follow", "I",
		"with recursive w as (select u.id as living, u.id from unnest($1::bigint[]) u(id) "
		"union all select w.living, c.id from w join customer c on c.merged_into = w.id "
		"where c.merged_into <> 0) update inbox i set customer = w.living from w "
		"where i.customer = w.id and w.id <> w.living",
		SQL_LANE, false },

	/*** fetch ***/
	/* the hour: a time may lie 10 minutes ahead of its receipt, and the doors' clocks differ */
	[SQL_QUERY_COUNT] = { "query_count", "iitsSS",
		"select count(*), max(e.time) from event e " QUERY_WHERE, SQL_LANE, true },
	/* the limit of a query is no literal: with the customer's index first no other plan is there */
	[SQL_QUERY_EVENTS] = { "query_events", "iitsSSn",
		"select e.id, e.type, e.data, e.time, e.seq from event e " QUERY_WHERE
		" order by e.seq desc limit least($7, 10000)",
		SQL_LANE, true },
	[SQL_QUERY_ORDERS] = { "query_orders", "itssn",
		"select " ORDER_COLUMNS " from orders o where o.customer = $1 "
		"and ($3 = '' or o.store = $3) and ($4 = '' or o.id = $4) "
		"and ($2 is null or o.placed_at >= $2) "
		"order by coalesce(o.placed_at, o.updated_at) desc nulls last, o.id desc "
		"limit least($5, 10000)",
		SQL_LANE, false },
	[SQL_QUERY_TEXT] = { "query_text", "s",
		"select bundle, level from rule_text where hash = $1", SQL_LANE, false },
	[SQL_QUERY_CHAIN] = { "query_chain", "i",
		"select event, history, arrived from chain where id = $1", SQL_LANE, false },
	[SQL_QUERY_REASON] = { "query_reason", "issn",
		"select id, chain, state = 'ready' and not keep from message where customer = $1 "
		"and rule = $2 and reason = $3 and state in ('ready', 'sending', 'sent', 'in_doubt') "
		"order by id desc limit $4",
		SQL_LANE, false },
	[SQL_QUERY_SENDING] = { "query_sending", "ii",
		"select id, chain, false from message where customer = $1 and chain = $2 "
		"and state in ('sending', 'sent', 'in_doubt')",
		SQL_LANE, false },

	/*** save ***/
	/* no "on conflict": who was second with a key hears 23505, rolls back and loads again; looking for
	 * conflicts beforehand costs more than the insert's index */
	[SQL_EVENT_ADD] = { "event_add", ROW_EVENT "i",
		"insert into event (received, store, source, id, content_hash, seq, customer, type, time, "
		"claimed, origin, cause_chain, data, verdicts, rule_set) "
		"select received, store, source, id, content_hash, seq, customer, type, time, claimed, "
		"origin::smallint, cause_chain, data, verdicts, $2 from unnest($1::event_row[])",
		SQL_LANE, false },
	/* who has it already keeps it: when that is somebody else, nothing of the batch may be saved */
	[SQL_IDENTITY_CLAIM] = { "identity_claim", ROW_IDENTITY,
		"insert into identity (base, kind, value, customer) "
		"select base, kind::smallint, value, customer from unnest($1::identity_row[]) "
		"on conflict (value, kind, base) do update "
		"set customer = identity_taken(identity.kind, identity.value) "
		"where identity.customer <> excluded.customer",
		SQL_LANE, false },
	/* no "on conflict", as with events: whose row it is must be known before its sums are booked */
	[SQL_ORDER_ADD] = { "order_add", ROW_ORDER,
		"insert into orders (customer, store, id, number, status, currency, payment, channel, "
		"coupon, tracking_number, carrier, tracking_url, total, refunded, placed_at, delivery_at, "
		"delivery_until, updated_at, cancelled, products, stamps) select customer, store, id, "
		"number, status, currency, payment, channel, coupon, tracking_number, carrier, "
		"tracking_url, total::numeric, refunded::numeric, placed_at, delivery_at, delivery_until, "
		"updated_at, cancelled, products, stamps from " ORDER_ROWS,
		SQL_LANE, false },
	[SQL_ORDER_CHANGE] = { "order_change", ROW_ORDER,
		"update orders o set customer = u.customer, number = u.number, status = u.status, "
		"currency = u.currency, payment = u.payment, channel = u.channel, coupon = u.coupon, "
		"tracking_number = u.tracking_number, carrier = u.carrier, "
		"tracking_url = u.tracking_url, total = u.total::numeric, "
		"refunded = u.refunded::numeric, placed_at = u.placed_at, delivery_at = u.delivery_at, "
		"delivery_until = u.delivery_until, updated_at = u.updated_at, "
		"cancelled = u.cancelled, products = u.products, stamps = u.stamps "
		"from " ORDER_ROWS " where o.id = u.id and o.store = u.store",
		SQL_LANE, false },
	[SQL_ORDER_STATUS_ADD] = { "order_status_add", "ISSSSTI",
		"insert into order_status (customer, store, order_id, status, previous, at, seq) "
		"select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], "
		"$6::timestamptz[], $7::bigint[])",
		SQL_LANE, false },
	/* cart and spend come only when they changed: NULL leaves the stored value, untouched in TOAST */
	[SQL_CARD_ACTIVITY] = { "card_activity", ROW_ACTIVITY,
		"update customer c set orders_count = u.n, orders_total = u.total::numeric, "
		"orders_first_at = u.first, orders_last_at = u.last, orders_last_id = u.last_id, "
		"last_seen_at = u.seen, cart = coalesce(u.cart, c.cart), spend = coalesce(u.spend, c.spend) "
		"from unnest($1::activity_row[]) u where c.id = u.id",
		SQL_LANE, false },
	[SQL_CARD_PROFILE] = { "card_profile", ROW_PROFILE,
		"update customer c set email = u.email, phone = u.phone, name = u.name, "
		"first_name = u.first_name, last_name = u.last_name, lang = u.lang, tz = u.tz, "
		"city = u.city, birthday = u.birthday, gender = u.gender, manager = u.manager, "
		"first_source = u.first_source, tags = u.tags, attributes = u.attributes, "
		"consent = u.consent, suppressed = u.suppressed from unnest($1::profile_row[]) u "
		"where c.id = u.id",
		SQL_LANE, false },
	[SQL_CARD_IDENTITY] = { "card_identity", "III",
		"update customer c set identity_version = u.version, merged_into = u.into_card "
		"from unnest($1::bigint[], $2::bigint[], $3::bigint[]) u(id, version, into_card) "
		"where c.id = u.id",
		SQL_LANE, false },
	[SQL_CHAIN_ADD] = { "chain_add", ROW_CHAIN,
		"insert into chain (id, customer, store, rule, key, text_hash, level, state, started, "
		"wake_at, awaits, exits, open, reason, event, history, arrived) "
		"select id, customer, store, rule, key, text_hash, level, state, started, wake_at, "
		"awaits::text[], exits, open::bigint[], reason, event, history, arrived from " CHAIN_ROWS,
		SQL_LANE, false },
	/* without its body only what arrived is new, and goes behind what is there; its event never changes */
	[SQL_CHAIN_CHANGE] = { "chain_change", ROW_CHAIN,
		"update chain h set text_hash = u.text_hash, level = u.level, state = u.state, "
		"wake_at = u.wake_at, awaits = u.awaits::text[], exits = u.exits, "
		"open = u.open::bigint[], reason = u.reason, "
		"history = case when u.loaded then u.history else h.history end, "
		"arrived = case when u.loaded or h.arrived is null or h.arrived::text = '[]' then "
		"case when u.loaded or u.arrived is not null then u.arrived else h.arrived end "
		"when u.arrived is null or u.arrived::text = '[]' then h.arrived "
		"else (left(h.arrived::text, -1) || ',' || substr(u.arrived::text, 2))::json end "
		"from " CHAIN_ROWS " where h.id = u.id",
		SQL_LANE, false },
	/* from the live ones into the log */
	[SQL_CHAIN_END] = { "chain_end", ROW_CHAIN "t",
		"with gone as (delete from chain h using " CHAIN_ROWS " where h.id = u.id "
		"returning u.id, u.customer, u.store, u.rule, u.key, u.text_hash, u.level, u.state, "
		"u.started, u.reason, h.event, coalesce(u.history, h.history) as history) "
		"insert into chain_log (id, customer, store, rule, key, text_hash, level, state, started, "
		"ended, reason, event, history) select id, customer, store, rule, key, text_hash, level, "
		"state, started, $2, reason, event, history from gone",
		SQL_LANE, false },
	/* begun and ended in one batch */
	[SQL_CHAIN_LOG_ADD] = { "chain_log_add", ROW_CHAIN "t",
		"insert into chain_log (id, customer, store, rule, key, text_hash, level, state, started, "
		"ended, reason, event, history) select id, customer, store, rule, key, text_hash, level, "
		"state, started, $2, reason, event, history from " CHAIN_ROWS,
		SQL_LANE, false },
	[SQL_RULE_LAST_PUT] = { "rule_last_put", "ISST",
		"insert into rule_last (customer, rule, key, started) select * from "
		"unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) "
		"on conflict (customer, rule, key) do update set started = excluded.started",
		SQL_LANE, false },
	[SQL_MESSAGE_ADD] = { "message_add", ROW_MESSAGE,
		"insert into message (customer, id, chain, store, rule, channel, class, priority, "
		"template, template_hash, lang, data, address, subject, reason, due, expires, keep, "
		"state, code, created) select * from unnest($1::message_row[])",
		SQL_LANE, false },
	[SQL_TASK_ADD] = { "task_add", ROW_TASK,
		"insert into task (customer, id, chain, store, rule, title, text, manager, \"group\", "
		"order_id, call, results, result, priority, created, deadline, remind, taken_at, done_at, "
		"overdue, keep, state) select * from " TASK_ROWS,
		SQL_LANE, false },
	[SQL_TASK_CHANGE] = { "task_change", ROW_TASK,
		"update task t set title = u.title, text = u.text, manager = u.manager, "
		"\"group\" = u.\"group\", result = u.result, priority = u.priority, "
		"deadline = u.deadline, remind = u.remind, taken_at = u.taken_at, done_at = u.done_at, "
		"overdue = u.overdue, state = u.state from " TASK_ROWS
		" where t.id = u.id and t.customer = u.customer",
		SQL_LANE, false },
	[SQL_MESSAGE_WITHDRAW] = { "message_withdraw", "II",
		"update message set state = 'withdrawn' where customer = any($1) and chain = any($2) "
		"and state = 'ready' and not keep",
		SQL_LANE, true },
	[SQL_TASK_WITHDRAW] = { "task_withdraw", "II",
		"update task set state = 'withdrawn' where customer = any($1) and chain = any($2) "
		"and state = 'open' and not keep",
		SQL_LANE, true },
	/* exit_on of rules came to customers.  $3 the key of the chain, or null: any; $4 a chain that is spared */
	[SQL_TASK_EXIT] = { "task_exit", "ISSI",
		"update task t set state = 'withdrawn' "
		"from unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) u(customer, rule, key, spared) "
		"where t.customer = u.customer and t.rule = u.rule and t.state = 'open' and not t.keep "
		"and t.chain <> 0 and t.chain <> u.spared "
		"and not exists (select from chain c where c.id = t.chain) "
		"and (u.key is null or exists (select from chain_log l where l.customer = t.customer "
		"and l.id = t.chain and l.key = u.key))",
		SQL_LANE, false },
	[SQL_MESSAGE_OUTCOME] = { "message_outcome", "IIST",
		"update message m set outcome = u.word, outcome_at = u.at, "
		"delivered_at = coalesce(m.delivered_at, u.delivered), "
		"opened_at = coalesce(m.opened_at, u.opened), "
		"clicked_at = coalesce(m.clicked_at, u.clicked), "
		"replied_at = coalesce(m.replied_at, u.replied), "
		"bounced_at = coalesce(m.bounced_at, u.bounced) "
		"from (select id, customer, (array_agg(word order by at desc))[1] as word, max(at) as at, "
		"min(at) filter (where word = 'delivered') as delivered, "
		"min(at) filter (where word = 'opened') as opened, "
		"min(at) filter (where word = 'clicked') as clicked, "
		"min(at) filter (where word = 'replied') as replied, "
		"min(at) filter (where word = 'bounced') as bounced "
		"from unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[]) "
		"w(id, customer, word, at) group by id, customer) u "
		"where m.id = u.id and m.customer = u.customer",
		SQL_LANE, false },
	[SQL_NOTE_ADD] = { "note_add", "ITSSII",
		"insert into note (customer, at, rule, text, seq, chain) select * from "
		"unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[], "
		"$6::bigint[])",
		SQL_LANE, false },
	[SQL_CONSENT_ADD] = { "consent_add", "ITSBSI",
		"insert into consent_log (customer, at, channel, given, source, seq) select * from "
		"unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::boolean[], $5::text[], "
		"$6::bigint[])",
		SQL_LANE, false },
	/* the first reason stays; but to whom mail bounced gets less than who unsubscribed */
	[SQL_SUPPRESSION_ADD] = { "suppression_add", "SSSST",
		"insert into suppression (base, channel, address, reason, at) "
		"select distinct on (address, channel, base) base, channel, address, reason, at from "
		"unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) "
		"u(base, channel, address, reason, at) "
		"order by address, channel, base, reason = 'unsubscribed', at "
		"on conflict (address, channel, base) do update set reason = excluded.reason, "
		"at = excluded.at where suppression.reason = 'unsubscribed' "
		"and excluded.reason <> 'unsubscribed'",
		SQL_LANE, false },
	[SQL_FAULT_ADD] = { "fault_add", "SBSIIT",
		"insert into rule_fault (rule, failed, text, seq, chain, at) select * from "
		"unnest($1::text[], $2::boolean[], $3::text[], $4::bigint[], $5::bigint[], "
		"$6::timestamptz[])",
		SQL_LANE, false },
	[SQL_RULE_SUSPEND] = { "rule_suspend", "SS",
		"with new as (insert into suspended_rule (rule, reason) select * from "
		"unnest($1::text[], $2::text[]) order by 1 on conflict do nothing returning rule) "
		"update current set switches_version = switches_version + 1 "
		"where exists (select from new)",
		SQL_LANE, false },
	[SQL_INBOX_DONE] = { "inbox_done", "I", "delete from inbox where id = any($1)", SQL_LANE,
		false },
	[SQL_QUARANTINE_ADD] = { "quarantine_add", "SSSSTSSY",
		"insert into quarantine (store, source, id, type, received, reason, path, data, content) "
		"select store, source, id, type, received, reason, path, data, "
		"md5(convert_to(concat_ws(E'\\n', id, source, type), 'UTF8') || data)::uuid from "
		"unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], "
		"$7::text[], $8::bytea[]) u(store, source, id, type, received, reason, path, data) "
		"order by 9, 1 on conflict do nothing",
		SQL_LANE, false },
	[SQL_CONFLICT_ADD] = { "conflict_add", "SSSUSTY",
		"insert into conflict (id, source, store, content_hash, type, received, data) "
		"select * from unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::text[], "
		"$6::timestamptz[], $7::bytea[]) order by 1, 2, 3, 4 on conflict do nothing",
		SQL_LANE, false },

	/*** joining cards: $1 is given up, $2 has everything from now on; both are locked ***/
	/* $3 because of this event.  Older tombstones point to the living card at once where nobody
	 * happens to look at them. */
	[SQL_JOIN_MOVE] = { "join_move", "IIS",
		"with w as (select * from unnest($1::bigint[], $2::bigint[], $3::text[]) "
		"w(gone, living, cause)), " JOIN_MOVE("identity") JOIN_MOVE("chain") JOIN_MOVE(
			"chain_log") JOIN_MOVE("task") JOIN_MOVE("orders") JOIN_MOVE("order_status")
			JOIN_MOVE("event") JOIN_MOVE("note") JOIN_MOVE(
				"consent_log") "put_last as (insert into rule_last (customer, rule, key, started) "
					       "select w.living, x.rule, x.key, max(x.started) from w join rule_last x "
					       "on x.customer = w.gone group by 1, 2, 3 order by 1, 2, 3 "
					       "on conflict (customer, rule, key) do update "
					       "set started = greatest(rule_last.started, excluded.started)), "
					       "drop_last as (delete from rule_last x using w where x.customer = w.gone), "
					       "card as (update customer x set created_at = least(x.created_at, g.created_at) "
					       "from w join customer g on g.id = w.gone where x.id = w.living), "
					       "older as (update customer x set merged_into = o.living from (select t.id, w.living "
					       "from w join customer t on t.merged_into = w.gone where t.merged_into <> 0 "
					       "for no key update of t skip locked) o where x.id = o.id) "
					       "insert into audit (by, action, object, detail) select 'nudged', 'customer.joined', "
					       "w.living::text, json_build_object('gone', w.gone, 'event', w.cause) from w",
		SQL_LANE, false },
	/* A courier that records an outcome holds the message, not the customer: it is waited for, in order
	 * of numbers, and its row in the inbox is seen by the next statement. */
	[SQL_JOIN_MESSAGE] = { "join_message", "II",
		"update message m set customer = o.living from (select x.id, w.living "
		"from unnest($1::bigint[], $2::bigint[]) w(gone, living) "
		"join message x on x.customer = w.gone order by x.id for no key update of x) o "
		"where m.id = o.id",
		SQL_LANE, false },
	[SQL_JOIN_INBOX] = { "join_inbox", "II",
		"update inbox i set customer = w.living from unnest($1::bigint[], $2::bigint[]) "
		"w(gone, living) where i.customer = w.gone",
		SQL_LANE, false },

	/*** rule sets, switches, inbox ***/
	[SQL_SET_READ] = { "set_read", "",
		"select c.set_id, s.hash, clock_timestamp() from current c left join rule_set s on s.id = c.set_id",
		SQL_LANE, false },
	[SQL_SET_READ_TEXTS] = { "set_read_texts", "",
		"select t.hash, s.level, t.path, t.bundle from current c "
		"join rule_set_text s on s.set_id = c.set_id join rule_text t on t.hash = s.hash "
		"order by s.n",
		SQL_LANE, false },
	[SQL_SET_READ_TEMPLATES] = { "set_read_templates", "",
		"select t.hash, s.name, s.lang, t.body from current c "
		"join rule_set_template s on s.set_id = c.set_id "
		"join template_text t on t.hash = s.hash order by s.n",
		SQL_LANE, false },
	[SQL_SET_WRITE_TEXTS] = { "set_write_texts", "SNSS",
		"insert into rule_text (hash, level, path, bundle) select * from "
		"unnest($1::text[], $2::int[], $3::text[], $4::text[]) order by 1 on conflict do nothing",
		SQL_LANE | SQL_TOOL, false },
	[SQL_SET_WRITE_TEMPLATES] = { "set_write_templates", "SS",
		"insert into template_text (hash, body) select * from unnest($1::text[], $2::text[]) "
		"order by 1 on conflict do nothing",
		SQL_LANE | SQL_TOOL, false },
	[SQL_SET_WRITE] = { "set_write", "sssSNSSS",
		"with s as (insert into rule_set (id, hash, by, host) "
		"values (nextval('rule_set_no'), $1, $2, $3) returning id), "
		"t as (insert into rule_set_text (set_id, n, hash, level) select s.id, u.n, u.hash, "
		"u.level from s, unnest($4::text[], $5::int[]) with ordinality u(hash, level, n)), "
		"p as (insert into rule_set_template (set_id, n, name, lang, hash) select s.id, u.n, "
		"u.name, u.lang, u.hash from s, unnest($6::text[], $7::text[], $8::text[]) "
		"with ordinality u(name, lang, hash, n)), "
		"c as (update current set set_id = s.id from s) select id from s",
		SQL_LANE | SQL_TOOL, true },
	[SQL_SWITCHES_VERSION] = { "switches_version", "", "select switches_version from current",
		SQL_LANE, false },
	[SQL_SWITCHES_RULES] = { "switches_rules", "",
		"select rule from suspended_rule order by rule", SQL_LANE, false },
	[SQL_SWITCHES_PAIRS] = { "switches_pairs", "",
		"select kind, id, rule from strike where times >= 2 order by kind, id, rule",
		SQL_LANE, false },
	/* The task of a suspended rule stands on a hidden card of the store ($4, of base $5). */
	[SQL_STRIKE] = { "strike", "sssssn",
		"with s as (insert into strike (kind, id, rule) values ($1, $2, $3) "
		"on conflict (kind, id, rule) do update set times = strike.times + 1, "
		"last_at = clock_timestamp() returning times), "
		"r as (insert into suspended_rule (rule, reason) "
		"select $3, 'took the engine down on three different events' from s where $1 = 'event' "
		"and (select count(*) from strike where rule = $3 and kind = 'event' and id <> $2) >= 2 "
		"on conflict do nothing returning rule), "
		"c as (select customer from identity where value = $4 || '/0' and kind = 7 and base = $5), "
		"h as (insert into customer (id, base, hidden) select nextval('customer_no'), $5, true "
		"from r where not exists (select from c) returning id), "
		"i as (insert into identity (value, kind, base, customer) select $4 || '/0', 7, $5, id from h "
		"on conflict do nothing), "
		"t as (insert into task (id, customer, store, rule, title, text, priority, created, keep, state) "
		"select nextval('batch_no') << $6, coalesce(c.customer, h.id), $4, r.rule, "
		"'Rule \"' || r.rule || '\" was suspended: it took the engine down on three different events', "
		"'Its starts and chains are held until nudgectl rules resume.', 100, clock_timestamp(), true, 'open' "
		"from r left join c on true left join h on true) "
		"update current set switches_version = switches_version + 1",
		SQL_LANE, false },
	/* What can not be done is passed over ($1, because of $2); its card is locked, not waited for. */
	[SQL_ASIDE_CHAIN] = { "aside_chain", "is",
		"with c as (" ASIDE_LOCK(
			"chain") ") update chain set state = 'stuck', wake_at = null, "
				 "reason = $2 where id = $1 and customer in (select id from c) "
				 "and state in ('waiting', 'settling', 'queued') and wake_at <= now() returning id",
		SQL_LANE, false },
	[SQL_ASIDE_TASK] = { "aside_task", "is",
		"with c as (" ASIDE_LOCK(
			"task") ") update task set overdue = true where id = $1 "
				"and $2 is not null and not overdue and state in ('open', 'taken') "
				"and customer in (select id from c) returning id",
		SQL_LANE, false },
	/* $3: what it says can not be read */
	[SQL_ASIDE_INBOX] = { "aside_inbox", "isb",
		"with c as (" ASIDE_LOCK(
			"inbox") "), d as (delete from inbox where id = $1 "
				 "and customer in (select id from c) returning id, store, at, "
				 "case when $3 then null else type end as type, "
				 "case when $3 then ''::bytea else convert_to(data::text, 'UTF8') end as data) "
				 "insert into quarantine (store, source, id, type, received, reason, data, content) "
				 "select store, '', 'inbox:' || id, type, at, $2, data, "
				 "md5(id::text || encode(data, 'hex'))::uuid from d returning n",
		SQL_LANE, false },
	/* the number of the card that took it over, where a courier does not know of that yet */
	[SQL_INBOX_ADD] = { "inbox_add", "ISSJT",
		"insert into inbox (customer, store, type, data, due) "
		"select coalesce(nullif(c.merged_into, 0), u.customer), u.store, u.type, u.data, "
		"coalesce(u.due, clock_timestamp()) from unnest($1::bigint[], $2::text[], $3::text[], "
		"$4::json[], $5::timestamptz[]) with ordinality u(customer, store, type, data, due, n) "
		"left join customer c on c.id = u.customer order by u.n returning id",
		SQL_LANE | SQL_TOOL, false },

	/*** couriers ***/
	/* what the claims of this connection are marked with, and which cluster it is: that does not change
	 * without a restart, which ends the connection */
	[SQL_CLAIM_OWNER] = { "claim_owner", "",
		"select pg_backend_pid(), a.backend_start, cs.system_identifier, " TIMELINE
		" from pg_stat_get_activity(pg_backend_pid()) a, pg_control_system() cs",
		SQL_TOOL, false },
	/* Looked at without a lock; the rest is decided after CARD_LOCK.  Lanes one by one, each by
	 * the index: a million bulk messages must not stand before one order confirmation. */
	[SQL_CLAIM_CANDIDATES] = { "claim_candidates", "sS",
		"select customer, lane from (" CLAIM_LANE(
			"0", "transactional") " union all " CLAIM_LANE("1",
			"marketing") " union all " CLAIM_LANE("2", "bulk") ") c order by lane, due",
		SQL_TOOL, false },
	/* His due messages of the channel, best first; not those that nobody may take now, so that they do not
	 * stand before the others.  offset: by his index, whatever the estimates say; the index of all that is
	 * due can be a million rows long. */
	[SQL_CLAIM_MESSAGES] = { "claim_messages", "isS",
		"select m.id, m.chain, m.store, m.rule, m.class, m.priority, m.template, "
		"m.template_hash, m.lang, m.data, m.address, m.subject, m.created, m.due, m.expires, "
		"m.keep, m.attempts, m.doubts, "
		"m.chain = 0 or m.keep or exists (select from chain h where h.id = m.chain), "
		"(select s.reason from suppression s, customer c where c.id = m.customer "
		"and s.channel = m.channel and s.base = c.base "
		"and s.address = lower(coalesce(m.address, c.email))) "
		"from (select * from message o where o.customer = $1 and o.state = 'ready' offset 0) m "
		"where m.channel = $2 and m.due <= now() and m.store = any($3) and not exists "
		"(select from pause p where p.scope = 'rule:' || m.rule) "
		"order by case m.class when 'transactional' then 0 "
		"when 'marketing' then 1 else 2 end, m.priority desc, m.created, m.id limit 50",
		SQL_TOOL, false },
	/* A courier only goes from keys to rows, however small a table was when its plans were made. */
	[SQL_CLAIM_SETTINGS] = { "claim_settings", "",
		"select set_config('enable_seqscan', 'off', false), "
		"set_config('enable_bitmapscan', 'off', false), "
		"set_config('enable_hashjoin', 'off', false), "
		"set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false)",
		SQL_TOOL, false },
	/* Stop buttons, the clock, and which cluster sent last. */
	[SQL_CLAIM_WORLD] = { "claim_world", "",
		"select clock_timestamp(), (select string_agg(scope, E'\\n') from pause), "
		"s.system_identifier, s.timeline from (select 1) x left join sent_identity s on true",
		SQL_TOOL, false },
	[SQL_IS_COPY] = { "is_copy", "", "select not (" NO_COPY ")", SQL_TOOL, false },
	[SQL_CLAIM_FIRST] = { "claim_first", "in",
		"insert into sent_identity (system_identifier, timeline) values ($1, $2) "
		"on conflict do nothing",
		SQL_TOOL, false },
	/* The card was joined with another: so are its messages. */
	[SQL_CLAIM_FOLLOW] = { "claim_follow", "ii",
		"update message set customer = $2 where customer = $1 and state = 'ready'",
		SQL_TOOL, false },
	/* A message that will never go: its outcome, and the news for its chain. */
	[SQL_CLAIM_END] = { "claim_end", "isssjsj",
		"with u as (update message set state = $2, code = $3, detail = $4, verdict = $5 "
		"where id = $1 and state = 'ready' returning customer, store) "
		"insert into inbox (customer, store, type, data) select customer, store, $6, $7 from u "
		"where $6 is not null",
		SQL_TOOL, false },
	[SQL_CLAIM_TAKE] = { "claim_take", "ijnt",
		"update message set state = 'sending', owner_pid = $3, owner_start = $4, "
		"claimed_at = clock_timestamp(), attempts = attempts + 1, code = null, detail = null, "
		"verdict = $2 where id = $1 and state = 'ready' returning id",
		SQL_TOOL, false },
	/* By whom it was claimed, not over which connection: also what was found in doubt meanwhile, or
	 * is given back a second time because the first answer was lost.  Its chain may have ended because of the
	 * doubt: what goes once more after all goes without it.  A claim that was lost was no doubt after all. */
	[SQL_CLAIM_RECORD] = { "claim_record", "intssstbsj",
		"with u as (update message set state = $4, code = $5, detail = $6, "
		"keep = keep or state = 'in_doubt' and $4 = 'ready', "
		"due = case when $4 = 'ready' then coalesce($7, due) else due end, "
		"attempts = attempts - case when $8 then 0 else 1 end, "
		"doubts = doubts + case when 'in_doubt' in ($4, $5) then 1 "
		"when $5 = 'claim_lost' and code = 'courier_gone' then -1 else 0 end, "
		"sent_at = case when $4 in ('sent', 'in_doubt') then clock_timestamp() end "
		"where id = $1 and owner_pid = $2 and owner_start = $3 and (state in ('sending', "
		"'in_doubt') or state = 'ready' and doubts > 0) returning customer, store), "
		"i as (insert into inbox (customer, store, type, data) "
		"select coalesce(nullif(c.merged_into, 0), u.customer), u.store, $9, $10 "
		"from u left join customer c on c.id = u.customer where $9 is not null) "
		"select count(*) from u",
		SQL_TOOL, false },
	/* Whose courier is gone.  backend_start is null for other users' connections: then the number
	 * alone counts, as alive. */
	[SQL_CLAIM_SWEEP] = { "claim_sweep", "sb",
		"with u as (update message m set doubts = m.doubts + 1, code = 'courier_gone', "
		"state = case when $2 and m.class = 'transactional' and m.doubts = 0 then 'ready' "
		"else 'in_doubt' end, due = case when $2 and m.class = 'transactional' "
		"and m.doubts = 0 then clock_timestamp() + interval '1 minute' else m.due end "
		"where m.state = 'sending' and m.channel = $1 and not exists (select from "
		"pg_stat_activity a where a.pid = m.owner_pid and (a.backend_start is null "
		"or a.backend_start = m.owner_start)) returning *), "
		"i as (insert into inbox (customer, store, type, data) "
		"select coalesce(nullif(c.merged_into, 0), u.customer), u.store, 'message.in_doubt', "
		"json_build_object('message_id', u.id::text, 'rule', u.rule, 'channel', u.channel, "
		"'code', u.code, 'chain', u.chain::text) from u "
		"left join customer c on c.id = u.customer where u.state = 'in_doubt') "
		"select id from u",
		SQL_TOOL, false },
	[SQL_TEMPLATE_READ] = { "template_read", "s",
		"select body from template_text where hash = $1", SQL_TOOL, false },

	/*** the MQTT session's seat ***/
	/* milliseconds; by Unix socket the keepalives mean nothing and do no harm */
	[SQL_SEAT_TAKE] = { "seat_take", "ii",
		"select pg_try_advisory_lock($1) from (select "
		"set_config('idle_session_timeout', $2::text, false), "
		"set_config('tcp_keepalives_idle', '1', false), "
		"set_config('tcp_keepalives_interval', '1', false), "
		"set_config('tcp_keepalives_count', '2', false), "
		"set_config('tcp_user_timeout', $2::text, false) offset 0) settings",
		SQL_SEAT, false },
	[SQL_SEAT_HOLD] = { "seat_hold", "", "select true", SQL_SEAT, false },

	/*** partitions ***/
	[SQL_PARTITIONS_AHEAD] = { "partitions_ahead", "", "select partitions_ahead()", SQL_KEEPER,
		false },
	[SQL_PARTITIONS_UNTIL] = { "partitions_until", "", "select partitions_until()", SQL_KEEPER,
		false },
	[SQL_PARTITIONS_OLD] = { "partitions_old", "ss",
		"select parent, name, todo from partitions_old($1, $2)", SQL_KEEPER, false },
	/* Sessions of this program that wait for the rest of a group, or for their answer to be read, for $1 ms. */
	[SQL_END_SILENT] = { "end_silent", "n",
		"select application_name, pid::bigint, extract(epoch from clock_timestamp() - state_change)::bigint, "
		"pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
		"and usename = current_user and state = 'active' "
		"and (wait_event = 'ClientRead' and application_name like 'nudge%' "
		"or wait_event = 'ClientWrite' and application_name like 'nudged %') "
		"and state_change < clock_timestamp() - $1 * interval '1 ms'",
		SQL_KEEPER, false },
	/* Couriers expire what they come for; this is for channels that have none anywhere. */
	[SQL_EXPIRE_UNCLAIMED] = { "expire_unclaimed", "",
		"with c as (select c.id, m.id as message from message m join customer c "
		"on c.id = m.customer where m.state = 'ready' "
		"and m.expires < now() - interval '5 minutes' "
		"order by m.id limit 5000 for no key update of c skip locked), "
		"u as (update message set state = 'expired', code = 'nobody', "
		"detail = 'no courier came for it in time' where id in (select message from c) "
		"and state = 'ready' returning id, customer, store, rule, channel, chain), "
		"i as (insert into inbox (customer, store, type, data) select customer, store, "
		"'message.failed', json_build_object('message_id', id::text, 'rule', rule, "
		"'channel', channel, 'code', 'expired', 'chain', chain::text) from u) "
		"select count(*) from u",
		SQL_KEEPER, false },
	/* Page by page, $2: behind this one; gives what was deleted, where the page ends, and how many of it
	 * are old: what is open among them stays, and is passed over. */
	[SQL_PRUNE_MESSAGE] = { "prune_message", "ni",
		"with o as materialized (select id, created, state from message where id > $2 "
		"order by id limit 5000), d as (delete from message where id in (select o.id from o "
		"where o.created < " OLDER_THAN
		" and o.state not in ('ready', 'sending', 'in_doubt')) returning 1) "
		"select (select count(*) from d), coalesce(max(o.id), 0), "
		"count(*) filter (where o.created < " OLDER_THAN ") from o",
		SQL_KEEPER, false },
	[SQL_PRUNE_TASK] = { "prune_task", "ni",
		"with o as materialized (select id, created, state from task where id > $2 "
		"order by id limit 5000), d as (delete from task where id in (select o.id from o "
		"where o.created < " OLDER_THAN
		" and o.state not in ('open', 'taken')) returning 1) "
		"select (select count(*) from d), coalesce(max(o.id), 0), "
		"count(*) filter (where o.created < " OLDER_THAN ") from o",
		SQL_KEEPER, false },
	[SQL_PRUNE_QUARANTINE] = { "prune_quarantine", "n",
		"delete from quarantine where n in (select n from quarantine where received < " OLDER_THAN
		" order by received limit 5000)",
		SQL_KEEPER, false },
	[SQL_PRUNE_CONFLICT] = { "prune_conflict", "n",
		"delete from conflict where ctid = any(array(select ctid from conflict "
		"where received < " OLDER_THAN " order by received limit 5000))",
		SQL_KEEPER, false },
	[SQL_PRUNE_AUDIT] = { "prune_audit", "n",
		"delete from audit where n in (select o.n from (select n, at from audit "
		"order by n limit 5000) o where o.at < " OLDER_THAN ")",
		SQL_KEEPER, false },
	[SQL_PRUNE_CONSENT] = { "prune_consent", "n",
		"delete from consent_log where ctid = any(array(select ctid from consent_log "
		"where at < " OLDER_THAN " limit 5000))",
		SQL_KEEPER, false },
	[SQL_PRUNE_FAULT] = { "prune_fault", "n",
		"delete from rule_fault where n in (select o.n from (select n, at from rule_fault "
		"order by n limit 5000) o where o.at < " OLDER_THAN ")",
		SQL_KEEPER, false },

	/*** nudgectl and the checker ***/
	/* who moves it next waits here: numbers of sets rise in the order of activation */
	[SQL_CURRENT_LOCK] = { "current_lock", "", "select from current for no key update",
		SQL_TOOL, false },
	[SQL_SET_IS] = { "set_is", "",
		"select c.set_id, s.hash, s.host, s.by, s.activated from current c "
		"left join rule_set s on s.id = c.set_id",
		SQL_TOOL, false },
	[SQL_SET_OF_HOST] = { "set_of_host", "s",
		"select id, hash from rule_set where host = $1 order by id desc limit 1", SQL_TOOL,
		false },
	[SQL_AUDIT_ADD] = { "audit_add", "ssssj",
		"insert into audit (by, host, action, object, detail) values ($1, $2, $3, $4, $5)",
		SQL_TOOL, false },
	[SQL_PAUSE_ADD] = { "pause_add", "sss",
		"insert into pause (scope, by, reason) values ($1, $2, $3) on conflict do nothing",
		SQL_TOOL, false },
	[SQL_PAUSE_END] = { "pause_end", "s", "delete from pause where scope = $1 returning at",
		SQL_TOOL, false },
	[SQL_PAUSE_LIST] = { "pause_list", "",
		"select scope, by, reason, at from pause order by at", SQL_TOOL, false },
	/* What waits for a channel ($2) or a rule ($3), NULL: any, due until $1: first its customers,
	 * those that nobody holds, then the messages of exactly these. */
	[SQL_WAITING_LOCK] = { "waiting_lock", "tss",
		"select c.id from message m join customer c on c.id = m.customer "
		"where m.state = 'ready' and m.due <= $1 and ($2 is null or m.channel = $2) "
		"and ($3 is null or m.rule = $3) order by m.id limit 500 "
		"for no key update of c skip locked",
		SQL_TOOL, false },
	/* $5: the new state, $6: its code; the chains that wrote them hear of it as of any failure.  Gives
	 * how many there were, and whether customers that were not locked have some, too. */
	[SQL_WAITING_END] = { "waiting_end", "Itssss",
		"with m as (update message set state = $5, code = $6 where customer = any($1) "
		"and state = 'ready' and due <= $2 and ($3 is null or channel = $3) "
		"and ($4 is null or rule = $4) returning id, customer, store, channel), "
		"i as (insert into inbox (customer, store, type, data) select customer, store, "
		"'message.failed', json_build_object('message_id', id::text, 'channel', channel, "
		"'code', $6) from m) "
		"select (select count(*) from m), exists (select from message "
		"where customer <> all($1) and state = 'ready' and due <= $2 "
		"and ($3 is null or channel = $3) and ($4 is null or rule = $4))",
		SQL_TOOL, false },
	[SQL_DEADLINE_LOCK] = { "deadline_lock", "t",
		"select c.id from task k join customer c on c.id = k.customer "
		"where k.deadline is not null and not k.overdue and k.state in ('open', 'taken') "
		"and k.deadline <= $1 order by k.id limit 500 for no key update of c skip locked",
		SQL_TOOL, false },
	[SQL_DEADLINE_END] = { "deadline_end", "It",
		"with t as (update task set overdue = true where customer = any($1) "
		"and deadline <= $2 and not overdue and state in ('open', 'taken') returning id) "
		"select (select count(*) from t), exists (select from task "
		"where customer <> all($1) and deadline <= $2 and not overdue "
		"and state in ('open', 'taken'))",
		SQL_TOOL, false },
	/* this cluster may send from now on */
	[SQL_IDENTITY_ACCEPT] = { "identity_accept", "",
		"insert into sent_identity (system_identifier, timeline) "
		"select s.system_identifier, " TIMELINE " from pg_control_system() s "
		"on conflict (one) do update set "
		"system_identifier = excluded.system_identifier, timeline = excluded.timeline, "
		"at = clock_timestamp()",
		SQL_TOOL, false },
	[SQL_SUSPENDED_LIST] = { "suspended_list", "",
		"select rule, reason, at from suspended_rule order by rule", SQL_TOOL, false },
	/* strikes of chains stay: each is lifted by its own retry */
	[SQL_SUSPENDED_END] = { "suspended_end", "s",
		"with r as (delete from suspended_rule where rule = $1 returning rule), "
		"s as (delete from strike where kind = 'event' and rule in (select rule from r)) "
		"update current set switches_version = switches_version + 1 "
		"where exists (select from r)",
		SQL_TOOL, false },
	/* Transactions that write and are open now are over when the oldest running one has this number. */
	[SQL_WRITES_AHEAD] = { "writes_ahead", "",
		"select pg_snapshot_xmax(pg_current_snapshot())::text::bigint", SQL_TOOL, false },
	[SQL_WRITES_OVER] = { "writes_over", "i",
		"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint >= $1", SQL_TOOL,
		false },
	[SQL_SUSPENDED_LOCK] = { "suspended_lock", "s",
		"select c.id from chain h join customer c on c.id = h.customer "
		"where h.rule = $1 and h.state = 'suspended' order by h.id limit 500 "
		"for no key update of c skip locked",
		SQL_TOOL, false },
	/* what it was woken with stands in `arrived`: it goes on with that */
	[SQL_SUSPENDED_WAKE] = { "suspended_wake", "Is",
		"with h as (update chain set state = 'waiting', wake_at = clock_timestamp(), "
		"reason = null where customer = any($1) and rule = $2 and state = 'suspended' "
		"returning id) select (select count(*) from h), exists (select from chain "
		"where customer <> all($1) and rule = $2 and state = 'suspended')",
		SQL_TOOL, false },
	[SQL_STATUS] = { "status", "",
		"select * from (values "
		"(1, 'live chains', (select count(*) from chain)), "
		"(2, 'chains that are stuck', (select count(*) from chain where state = 'stuck')), "
		"(3, 'messages that wait', (select count(*) from message where state = 'ready')), "
		"(4, 'messages being sent', (select count(*) from message where state = 'sending')), "
		"(5, 'messages in doubt', (select count(*) from message where state = 'in_doubt')), "
		"(6, 'open tasks', (select count(*) from task where state in ('open', 'taken'))), "
		"(7, 'rows in the inbox', (select count(*) from inbox)), "
		"(8, 'quarantined events', (select count(*) from quarantine)), "
		"(9, 'conflicting events', (select count(*) from conflict))) v(n, what, many) order by n",
		SQL_TOOL, false },
	[SQL_DOUBT_LIST] = { "doubt_list", "",
		"select id, channel, rule, customer, claimed_at, coalesce(detail, code, '-') from message "
		"where state = 'in_doubt' order by id limit 1000",
		SQL_TOOL, false },
	[SQL_DOUBT_HOLDER] = { "doubt_holder", "i",
		"select customer from message where id = $1 and state = 'in_doubt'", SQL_TOOL,
		false },
	/* What goes once more goes without its chain, which does not wait for it.
	 * The customer is locked: $3 the state, $4 what the chain hears, if anything */
	[SQL_DOUBT_RESOLVE] = { "doubt_resolve", "iiss",
		"with u as (update message set state = $3, code = case when $3 = 'failed' then 'in_doubt' end, "
		"due = case when $3 = 'ready' then clock_timestamp() else due end, "
		"keep = keep or $3 = 'ready', owner_pid = null, "
		"owner_start = null where id = $1 and customer = $2 and state = 'in_doubt' "
		"returning id, customer, store, channel, rule, chain), "
		"i as (insert into inbox (customer, store, type, data) select customer, store, $4, "
		"json_build_object('message_id', id::text, 'channel', channel, 'rule', rule, 'code', "
		"'resolved', 'chain', chain::text) from u where $4 is not null) select id from u",
		SQL_TOOL, false },
	[SQL_CHAIN_LIST] = { "chain_list", "s",
		"select id, rule, key, customer, state, started, wake_at, "
		"array_to_string(awaits, ' '), reason from chain where $1 is null or rule = $1 "
		"order by rule, id limit 10000",
		SQL_TOOL, false },
	[SQL_CHAIN_HOLDER] = { "chain_holder", "i", "select customer from chain where id = $1",
		SQL_TOOL, false },
	/* by identity, strongest first, else by our own number; a card that was joined gives the other */
	[SQL_CARD_FIND] = { "card_find", "SNsi",
		"select coalesce(nullif(c.merged_into, 0), c.id) from ("
		"select i.customer, u.n from unnest($1::text[], $2::int[]) with ordinality "
		"u(value, kind, n) join identity i on i.value = u.value and i.kind = u.kind "
		"and i.base = $3 union all select $4, 1000) k join customer c on c.id = k.customer "
		"where c.base = $3 and not c.hidden order by k.n limit 1",
		SQL_TOOL, false },
	[SQL_RENDER_SEND] = { "render_send", "issssjsn",
		"insert into message (id, customer, store, rule, channel, class, template, "
		"template_hash, lang, data, address, created, due, state) select nextval('batch_no') << $8, "
		"$1, $2, 'nudgectl', 'email', 'transactional', $3, $4, $5, $6, $7, "
		"clock_timestamp(), clock_timestamp(), 'ready' returning id",
		SQL_TOOL, false },
	[SQL_RENDER_STATE] = { "render_state", "i",
		"select state, code, detail from message where id = $1", SQL_TOOL, false },
	[SQL_RENDER_DROP] = { "render_drop", "i",
		"update message set state = 'withdrawn' where id = $1 and state = 'ready'",
		SQL_TOOL, false },
	/* The same as when the engine ends one: what nobody has taken yet is withdrawn, and the one that
	 * is queued behind it begins, unless another of them is live. */
	[SQL_CHAIN_STOP] = { "chain_stop", "iis",
		"with gone as (delete from chain where id = $1 and customer = $2 returning *), "
		"log as (insert into chain_log (id, customer, store, rule, key, text_hash, level, state, "
		"started, ended, reason, event, history) select id, customer, store, rule, key, "
		"text_hash, level, 'cancelled', started, clock_timestamp(), $3, event, history "
		"from gone), "
		"m as (update message set state = 'withdrawn' where customer = $2 and state = 'ready' "
		"and not keep and chain in (select id from gone)), "
		"t as (update task set state = 'withdrawn' where customer = $2 and state = 'open' "
		"and not keep and chain in (select id from gone)), "
		"q as (update chain set state = 'waiting', wake_at = clock_timestamp() "
		"where state = 'queued' and id = (select h.id from chain h join gone g "
		"on h.customer = g.customer and h.rule = g.rule and h.key = g.key and h.id <> g.id "
		"order by h.id limit 1)) select rule, key from gone",
		SQL_TOOL, false },
	[SQL_CHAIN_RETRY] = { "chain_retry", "ii",
		"with h as (update chain set state = 'waiting', wake_at = clock_timestamp(), "
		"reason = null where id = $1 and customer = $2 "
		"and state in ('stuck', 'failed', 'suspended') returning id, rule, key), "
		"s as (delete from strike where kind = 'chain' and id in (select id::text from h) "
		"returning id), "
		"c as (update current set switches_version = switches_version + 1 "
		"where exists (select from s)) select rule, key from h",
		SQL_TOOL, false },

	/*** the API ***/
	[SQL_API_INBOX_LEFT] = { "api_inbox_left", "I", "select id from inbox where id = any($1)",
		SQL_API, false },
	/* what waits, each at most 10,000 that are looked at, with the age of the oldest in seconds; then switches by
	 * scope and partitions.  The order is that of health.c */
	[SQL_API_GAUGES] = { "api_gauges", "",
		"with inbox_due as (select due from inbox where due <= now() order by due limit 10000), "
		"chain_due as (select h.wake_at from chain h where " CHAIN_LIVE_DUE
		" and h.wake_at <= now() order by h.wake_at limit 10000), "
		"message_due as (select due from message where state = 'ready' and due <= now() limit 10000) "
		"select (select count(*) from inbox_due), (select count(*) from chain_due), "
		"(select count(*) from message_due), "
		"coalesce(extract(epoch from now() - (select min(due) from inbox_due)), 0)::bigint, "
		"coalesce(extract(epoch from now() - (select min(wake_at) from chain_due)), 0)::bigint, "
		"coalesce(extract(epoch from now() - (select min(due) from message_due)), 0)::bigint, "
		"count(*) filter (where scope = 'all'), "
		"count(*) filter (where scope like 'channel:%'), "
		"count(*) filter (where scope like 'rule:%'), "
		"(select count(*) from pg_inherits where inhparent = 'event'::regclass) from pause",
		SQL_API, false },
	[SQL_API_PAUSES] = { "api_pauses", "", "select scope, reason, at from pause order by scope",
		SQL_API, false },
	/* by an identity ($1 value, $2 kind, $3 base) or our own number ($4) */
	[SQL_API_CARD] = { "api_card", "snsi",
		"with recursive k(id) as (select customer from identity "
		"where value = $1 and kind = $2::smallint and base = $3 union all select $4), "
		"r as (select c.id, c.merged_into from customer c join k on c.id = k.id "
		"union select c.id, c.merged_into from r join customer c on c.id = r.merged_into "
		"where r.merged_into <> 0) select " CARD_COLUMNS " from customer "
		"where id = (select id from r where merged_into = 0 limit 1) and ($3 = '' or base = $3)",
		SQL_API | SQL_TOOL, false },
	[SQL_API_IDENTITIES] = { "api_identities", "i",
		"select kind::int, value from identity where customer = $1 order by kind, value "
		"limit 200",
		SQL_API, false },
	[SQL_API_ORDERS] = { "api_orders", "is",
		"select o.store, o.id, o.number, o.status, o.currency, o.total::float8, "
		"o.refunded::float8, o.payment, o.channel, o.coupon, o.tracking_number, o.carrier, "
		"o.tracking_url, o.placed_at, o.delivery_at, o.delivery_until, o.updated_at, "
		"o.cancelled, o.products from orders o where o.customer = $1 "
		"and ($2 = '' or o.store = $2) "
		"order by coalesce(o.placed_at, o.updated_at) desc nulls last, o.id desc limit 20",
		SQL_API, false },
	[SQL_API_TASKS] = { "api_tasks", "insssss",
		API_LIST(API_TASK_COLUMNS, "task t", "true", API_TASK_HIT), SQL_API, false },
	[SQL_API_TASKS_LIVE] = { "api_tasks_live", "insssss",
		API_LIST(API_TASK_COLUMNS, "task t", "t.state in ('open', 'taken')", API_TASK_HIT),
		SQL_API, false },
	[SQL_API_TASKS_OF] = { "api_tasks_of", "inssssi",
		API_LIST_OF(API_TASK_COLUMNS, "task t", API_TASK_HIT), SQL_API, false },
	[SQL_API_TASK] = { "api_task", "i",
		"select " API_TASK_COLUMNS " from task t where t.id = $1", SQL_API, false },
	/* $1 task, $2 type, $3 data, $4 result, $5 by, $6 host: the inbox row where the task may be
	 * moved so, with its line in the audit; the task as it is, and whether it has that result */
	[SQL_API_TASK_MOVE] = { "api_task_move", "isjsss",
		"with t as (select id, customer, store, state, results from task where id = $1), "
		"may as (select t.*, case when $2 = 'task.taken' then t.state = 'open' "
		"else t.state in ('open', 'taken') end as state_fits, $4 = '' or t.results is null "
		"or json_array_length(t.results) = 0 or exists (select from "
		"json_array_elements_text(t.results) r where r = $4) as result_fits from t), "
		"i as (insert into inbox (customer, store, type, data) "
		"select coalesce(nullif(c.merged_into, 0), m.customer), m.store, $2, $3 from may m "
		"join customer c on c.id = m.customer where state_fits and result_fits "
		"returning id, customer), "
		"a as (insert into audit (by, host, action, object, detail) "
		"select $5, $6, $2, 'task/' || $1, $3 from i) "
		"select may.state_fits, may.result_fits, i.id, i.customer, may.results "
		"from may left join i on true",
		SQL_API, false },
	/* Was it inbox row $2 of customer $3 with type $4 that moved task $1?  The events of one batch
	 * have one time; of those the first was it. */
	[SQL_API_TASK_MOVED] = { "api_task_moved", "iiis",
		"select coalesce((select e.id = 'inbox:' || $2::text from event e "
		"where e.customer = $3 and e.type = $4 and e.data ->> 'task_id' = $1::text "
		"and e.received > now() - interval '1 day' "
		"and e.time = case $4 when 'task.taken' then t.taken_at else t.done_at end "
		"order by e.seq limit 1), false), " API_TASK_COLUMNS " from task t where t.id = $1",
		SQL_API, false },
	[SQL_API_MESSAGES] = { "api_messages", "insssss",
		API_LIST(API_MESSAGE_COLUMNS, "message t", "true", API_MESSAGE_HIT), SQL_API,
		false },
	[SQL_API_MESSAGES_OF] = { "api_messages_of", "inssssi",
		API_LIST_OF(API_MESSAGE_COLUMNS, "message t", API_MESSAGE_HIT), SQL_API, false },
	[SQL_API_CHAINS] = { "api_chains", "insssss",
		API_LIST(API_CHAIN_COLUMNS, API_CHAIN_LIVE, "true", API_CHAIN_HIT), SQL_API,
		false },
	[SQL_API_CHAINS_OF] = { "api_chains_of", "inssssi",
		API_LIST_OF(API_CHAIN_COLUMNS, API_CHAINS_OF("$7"), API_CHAIN_HIT), SQL_API,
		false },
	/* $1 customer, $2 store, $3 channel, $4 data: no row where the card is gone; inbox 0 where it
	 * is unsubscribed already */
	[SQL_API_UNSUBSCRIBE] = { "api_unsubscribe", "issj",
		"with recursive r as (select id, merged_into from customer where id = $1 "
		"union select c.id, c.merged_into from r "
		"join customer c on c.id = r.merged_into where r.merged_into <> 0), "
		"i as (insert into inbox (customer, store, type, data) "
		"select c.id, $2, 'message.unsubscribed', $4 from r join customer c on c.id = r.id "
		"where r.merged_into = 0 and (c.suppressed ->> $3) is distinct from 'unsubscribed' "
		"returning id) "
		"select coalesce(i.id, 0) from r left join i on true where r.merged_into = 0",
		SQL_API, false },

	/*** a customer's timeline ***/
	[SQL_LINE_EVENTS] = { "line_events", "itisn",
		LINE("least(t.time, t.received)", "t.seq",
			"t.store, t.source, t.id, t.type, t.time, t.received, t.claimed, "
			"case t.origin when 0 then 'door' when 1 then 'inbox' else 'daemon' end, "
			"t.cause_chain, t.data, t.rule_set, t.verdicts",
			"event t", "t.customer = $1 and ($4 = '' or t.store = $4)"),
		SQL_API | SQL_TOOL, false },
	/* several may have one moment: ctid tells them apart, rows are never changed */
	[SQL_LINE_CONSENTS] = { "line_consents", "itisn",
		LINE("t.at", "t.n", "t.channel, t.given, t.source",
			"(select *, row_number() over (partition by at order by seq, ctid) as n "
			"from consent_log where customer = $1) t",
			LINE_OF_STORE ")"),
		SQL_API | SQL_TOOL, false },
	[SQL_LINE_CHAINS] = { "line_chains", "itisn",
		LINE("t.started", "t.id", API_CHAIN_COLUMNS, API_CHAINS_OF("$1"),
			"($4 = '' or t.store = $4)"),
		SQL_API | SQL_TOOL, false },
	[SQL_LINE_TASKS] = { "line_tasks", "itisn",
		LINE("t.created", "t.id", API_TASK_COLUMNS, "task t",
			"t.customer = $1 and ($4 = '' or t.store = $4)"),
		SQL_API | SQL_TOOL, false },
	[SQL_LINE_NOTES] = { "line_notes", "itisn",
		LINE("t.at", "t.n", "t.rule, t.text, t.chain",
			"(select *, row_number() over (partition by at order by seq, chain, ctid) as n "
			"from note where customer = $1) t",
			LINE_OF_STORE
			" or exists (select from chain h where h.id = t.chain "
			"and h.store = $4) or exists (select from chain_log h "
			"where h.customer = $1 and h.id = t.chain and h.store = $4))"),
		SQL_API | SQL_TOOL, false },
	[SQL_LINE_MESSAGES] = { "line_messages", "itisn",
		LINE("t.created", "t.id", API_MESSAGE_COLUMNS, "message t",
			"t.customer = $1 and ($4 = '' or t.store = $4)"),
		SQL_API | SQL_TOOL, false },
	[SQL_LINE_CHAIN_ENDS] = { "line_chain_ends", "itisn",
		LINE("t.ended", "t.id", "t.id, t.store, t.rule, t.key, t.state, t.reason",
			"chain_log t", "t.customer = $1 and ($4 = '' or t.store = $4)"),
		SQL_API | SQL_TOOL, false },
};
