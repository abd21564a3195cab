-- 005: the rows in which engines hand over what they write; the fields are those of sql_rows in src/db/sql.c.
--
-- One array of rows instead of an array per column: Postgres then builds, walks and keeps one list, not fifteen
-- (an event's insert costs a sixth less).  awaits and open come as text "{...}" and are cast where they are
-- written: arrays of different lengths do not fit into one array.

create type event_row as (
	received timestamptz, store text, source text, id text, content_hash uuid, seq bigint, customer bigint,
	type text, time timestamptz, claimed timestamptz, origin int, cause_chain bigint, data json, verdicts json
);
create type identity_row as (base text, kind int, value text, customer bigint);
create type order_row as (
	customer bigint, store text, id text, number text, status text, currency text, payment text, channel text,
	coupon text, tracking_number text, carrier text, tracking_url text, total float8, refunded float8,
	placed_at timestamptz, delivery_at timestamptz, delivery_until timestamptz, updated_at timestamptz,
	cancelled boolean, products json, stamps json
);
create type activity_row as (
	id bigint, n bigint, total float8, first timestamptz, last timestamptz, last_id text, seen timestamptz,
	cart json, spend json
);
create type profile_row as (
	id bigint, email text, phone text, name text, first_name text, last_name text, lang text, tz text, city text,
	birthday text, gender text, manager text, first_source text, tags json, attributes json, consent json,
	suppressed json
);
create type chain_row as (
	customer bigint, id bigint, store text, rule text, key text, text_hash text, level int, state text,
	started timestamptz, wake_at timestamptz, awaits text, exits text, open text, reason text, event json,
	history json, arrived json, loaded boolean
);
create type message_row as (
	customer bigint, id bigint, chain bigint, store text, rule text, channel text, class text, priority int,
	template text, template_hash text, lang text, data json, address text, subject text, reason text,
	due timestamptz, expires timestamptz, keep boolean, state text, code text, created timestamptz
);
create type task_row as (
	customer bigint, id bigint, chain bigint, store text, rule text, title text, text text, manager text,
	"group" text, order_id text, call text, results json, result text, priority int, created timestamptz,
	deadline timestamptz, remind timestamptz, taken_at timestamptz, done_at timestamptz, overdue boolean,
	keep boolean, state text
);
