-- 001: the tables.
--
-- Keys are text in collation "C": compared as bytes, the cheapest and the same on every host.  Payloads
-- are json, not jsonb: nobody looks into them here, and parsing them into jsonb costs more than the rest
-- of the row.  There are no foreign keys between hot tables: what belongs together is written under one
-- customer's lock.  Numbers of events (seq), chains, messages and tasks are given by the engines out of
-- ranges: a batch takes nextval('batch_no') after it has locked its cards, so numbers of one customer
-- rise in the order of judging.  (Therefore the sequence must never be cached by sessions.)

create sequence batch_no;
create sequence customer_no;
create sequence rule_set_no;

create table customer (
	id bigint primary key,
	base text collate "C" not null,
	hidden boolean not null default false,
	merged_into bigint not null default 0,
	identity_version bigint not null default 0,
	email text, phone text, name text, first_name text, last_name text, lang text, tz text,
	city text, birthday text, gender text, manager text, first_source text,
	orders_count bigint not null default 0,
	orders_total numeric not null default 0,
	orders_first_at timestamptz,
	orders_last_at timestamptz,
	orders_last_id text,
	created_at timestamptz not null default now(),
	last_seen_at timestamptz,
	tags json, attributes json, consent json, suppressed json, cart json,
	spend json
) with (fillfactor = 80);

-- What leads to a card that was joined leads to the living one.
create index customer_merged on customer (merged_into) where merged_into <> 0;
create function living_card(card bigint) returns bigint language sql stable as $$
	with recursive r as (select c.id, c.merged_into from nudged.customer c where c.id = card
		union all select c.id, c.merged_into from r
		join nudged.customer c on c.id = r.merged_into where r.merged_into <> 0)
	select id from r where merged_into = 0
$$;

-- kind: enum identity_kind in model/event.h
create table identity (
	value text collate "C" not null,
	kind smallint not null,
	base text collate "C" not null,
	customer bigint not null,
	primary key (value, kind, base)
);
create index identity_customer on identity (customer);

-- The unique key (id, source, store) stands on each partition: see 002.
create table event (
	received timestamptz not null,
	store text collate "C" not null,
	source text collate "C" not null,
	id text collate "C" not null,
	content_hash uuid not null,
	seq bigint not null,
	customer bigint not null,
	type text collate "C" not null,
	time timestamptz not null,
	claimed timestamptz,
	origin smallint not null default 0,
	cause_chain bigint not null default 0,
	rule_set bigint not null default 0, -- the set whose rules the verdicts are of
	data json not null,
	verdicts json
) partition by range (received);
create index event_customer on event (customer, seq);

create table orders (
	store text collate "C" not null,
	id text collate "C" not null,
	customer bigint not null,
	number text, status text, currency text, payment text, channel text, coupon text,
	tracking_number text, carrier text, tracking_url text,
	total numeric not null default 0,
	refunded numeric not null default 0,
	placed_at timestamptz,
	delivery_at timestamptz,
	delivery_until timestamptz,
	updated_at timestamptz,
	cancelled boolean not null default false,
	products json,
	stamps json,
	primary key (id, store)
) with (fillfactor = 80);
create index orders_customer on orders (customer);

create table order_status (
	store text collate "C" not null,
	order_id text collate "C" not null,
	customer bigint not null,
	status text not null,
	previous text,
	at timestamptz not null,
	seq bigint not null
);
create index order_status_order on order_status (order_id, store, seq);
create index order_status_customer on order_status (customer);

-- Live chains only.  level: the language level of the text.
create table chain (
	id bigint primary key,
	customer bigint not null,
	store text collate "C" not null,
	rule text collate "C" not null,
	key text collate "C" not null default '',
	text_hash text collate "C" not null,
	level int not null,
	state text collate "C" not null,
	started timestamptz not null,
	wake_at timestamptz,
	awaits text[] collate "C" not null default '{}',
	exits text,
	open bigint[] not null default '{}',
	reason text,
	event json,
	history json,
	arrived json
) with (fillfactor = 80);
create index chain_customer on chain (customer);
create index chain_wake on chain (wake_at)
	where wake_at is not null and state in ('waiting', 'settling', 'queued');
create index chain_rule on chain (rule);

create table chain_log (
	id bigint not null,
	customer bigint not null,
	store text collate "C" not null,
	rule text collate "C" not null,
	key text collate "C" not null default '',
	text_hash text collate "C" not null,
	level int not null,
	state text collate "C" not null,
	started timestamptz not null,
	ended timestamptz not null,
	reason text,
	event json,
	history json
) partition by range (ended);
create index chain_log_customer on chain_log (customer, id);

create table rule_last (
	customer bigint not null,
	rule text collate "C" not null,
	key text collate "C" not null default '',
	started timestamptz not null,
	primary key (customer, rule, key)
) with (fillfactor = 80);

-- doubts: how often its hand-over was interrupted.
-- owner_*: the connection of the courier that claimed it (pg_stat_activity tells whether it lives).
create table message (
	id bigint primary key,
	customer bigint not null,
	chain bigint not null default 0,
	store text collate "C" not null,
	rule text collate "C" not null,
	channel text collate "C" not null,
	class text collate "C" not null,
	priority int not null default 50,
	template text collate "C",
	template_hash text collate "C",
	lang text,
	data json,
	address text,
	subject text,
	reason text,
	created timestamptz not null,
	due timestamptz not null,
	expires timestamptz,
	keep boolean not null default false,
	state text collate "C" not null,
	code text,
	detail text,
	attempts int not null default 0,
	doubts int not null default 0,
	owner_pid int,
	owner_start timestamptz,
	claimed_at timestamptz,
	sent_at timestamptz,
	provider_id text,
	outcome text,
	outcome_at timestamptz,
	delivered_at timestamptz,
	opened_at timestamptz,
	clicked_at timestamptz,
	replied_at timestamptz,
	bounced_at timestamptz,
	verdict json
) with (fillfactor = 80);
create index message_ready on message (channel, class, due) where state = 'ready';
create index message_sending on message (id) where state = 'sending';
create index message_open on message (customer) where state in ('ready', 'sending');
create index message_customer on message (customer, id);
-- "never the same twice from this rule"
create index message_reason on message (customer, rule, reason) where reason is not null;

create table task (
	id bigint primary key,
	customer bigint not null,
	chain bigint not null default 0,
	store text collate "C" not null,
	rule text collate "C" not null,
	title text not null default '',
	text text,
	manager text, "group" text,
	order_id text, call text,
	results json,
	result text,
	priority int not null default 50,
	created timestamptz not null,
	deadline timestamptz,
	remind timestamptz,
	taken_at timestamptz,
	done_at timestamptz,
	overdue boolean not null default false,
	keep boolean not null default false,
	state text collate "C" not null
) with (fillfactor = 80);
create index task_deadline on task (deadline)
	where deadline is not null and not overdue and state in ('open', 'taken');
create index task_open on task (id) where state in ('open', 'taken');
create index task_customer on task (customer);

-- What happens inside and waits to be judged: couriers, receipts, tracking, every writing API call.
create table inbox (
	id bigint generated always as identity primary key,
	customer bigint not null,
	store text collate "C" not null,
	type text collate "C" not null,
	data json not null,
	at timestamptz not null default clock_timestamp(),
	due timestamptz not null default clock_timestamp()
);
create index inbox_due on inbox (due);
create index inbox_customer on inbox (customer);

create table rule_set (
	id bigint primary key,
	hash text collate "C" not null,
	activated timestamptz not null default clock_timestamp(),
	by text not null,
	host text not null
);
create table rule_text (
	hash text collate "C" not null,
	level int not null,
	path text not null,
	bundle text not null,
	stored timestamptz not null default clock_timestamp(),
	primary key (hash)
);
create table rule_set_text (
	set_id bigint not null,
	n int not null,
	hash text collate "C" not null,
	level int not null,
	primary key (set_id, n)
);
create table template_text (
	hash text collate "C" primary key,
	body text not null,
	stored timestamptz not null default clock_timestamp()
);
create table rule_set_template (
	set_id bigint not null,
	n int not null,
	name text collate "C" not null,
	lang text collate "C" not null,
	hash text collate "C" not null,
	primary key (set_id, n)
);

-- One row: which set is current, and the version of what is switched off.
create table current (
	one boolean primary key default true check (one),
	set_id bigint not null default 0,
	switches_version bigint not null default 0
) with (fillfactor = 50);
insert into current default values;

create table suspended_rule (
	rule text collate "C" primary key,
	reason text not null,
	at timestamptz not null default clock_timestamp()
);
-- Runs of rules that broke, and the good ones that were reported beside them: for "20 of the last 50".
create table rule_fault (
	n bigint generated always as identity primary key,
	rule text collate "C" not null,
	failed boolean not null,
	text text,
	seq bigint not null,
	chain bigint not null,
	at timestamptz not null
);
create index rule_fault_rule on rule_fault (rule, n);
-- Crashes of the engine on a pair; times >= 2: set aside.
create table strike (
	kind text collate "C" not null,
	id text collate "C" not null,
	rule text collate "C" not null,
	times int not null default 1,
	first_at timestamptz not null default clock_timestamp(),
	last_at timestamptz not null default clock_timestamp(),
	primary key (kind, id, rule)
);

create table note (
	customer bigint not null,
	at timestamptz not null,
	rule text,
	text text not null,
	seq bigint not null,
	chain bigint not null
);
create index note_customer on note (customer, at);

create table consent_log (
	customer bigint not null,
	at timestamptz not null,
	channel text not null,
	given boolean not null,
	source text,
	seq bigint not null
);
create index consent_log_customer on consent_log (customer, at);

create table suppression (
	address text collate "C" not null,
	channel text collate "C" not null,
	base text collate "C" not null,
	reason text not null,
	at timestamptz not null,
	primary key (address, channel, base)
);

-- Events kept raw, never judged.  bytea: it may be no JSON, not even text.
create table quarantine (
	n bigint generated always as identity primary key,
	store text collate "C" not null,
	source text,
	id text,
	type text,
	received timestamptz not null,
	reason text not null,
	path text,
	data bytea not null,
	content uuid not null
);
create unique index quarantine_content on quarantine (content, store);
create index quarantine_received on quarantine (received);

create table conflict (
	id text collate "C" not null,
	source text collate "C" not null,
	store text collate "C" not null,
	content_hash uuid not null,
	type text,
	received timestamptz not null,
	data bytea not null,
	primary key (id, source, store, content_hash)
);
create index conflict_received on conflict (received);

create table audit (
	n bigint generated always as identity primary key,
	at timestamptz not null default clock_timestamp(),
	by text not null,
	host text,
	action text not null,
	object text,
	detail json
);

-- Stop buttons: one row per scope ("all", "channel:email", "rule:welcome") while it is pressed.
create table pause (
	scope text collate "C" primary key,
	by text not null,
	reason text,
	at timestamptz not null default clock_timestamp()
);

-- One row: the cluster that the last message was sent from (a restored copy differs in the timeline).
create table sent_identity (
	one boolean primary key default true check (one),
	system_identifier bigint not null,
	timeline int not null,
	at timestamptz not null default clock_timestamp()
);
