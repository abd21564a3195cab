-- 003: what segments are asked over: one row per living card, names as in the vocabulary.

create view customer_card as
select c.id, c.base, c.email, c.phone, c.name, c.first_name, c.last_name, c.lang, c.tz, c.city,
	case when c.birthday ~ '^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$'
		then c.birthday end as birthday,
	c.gender, c.manager, c.first_source, c.orders_count, c.orders_total,
	case when c.orders_count > 0 then c.orders_total / c.orders_count end as orders_average,
	c.orders_first_at as first_order_at, c.orders_last_at as last_order_at,
	c.orders_last_id as last_order_id, c.created_at, c.last_seen_at,
	coalesce(c.tags::jsonb, '[]') as tags, coalesce(c.attributes::jsonb, '{}') as attributes,
	coalesce(c.consent::jsonb, '{}') as consent, coalesce(c.suppressed::jsonb, '{}') as suppressed,
	coalesce(c.cart::jsonb, '{}') as cart,
	v.value_m6, v.value_m12, v.value_m24, c.orders_total as value_life
from customer c
cross join lateral (
	select coalesce(sum(amount) filter (where day > today - interval '6 months'), 0) as value_m6,
		coalesce(sum(amount) filter (where day > today - interval '12 months'), 0) as value_m12,
		coalesce(sum(amount) filter (where day > today - interval '24 months'), 0) as value_m24
	from (select date '1970-01-01' + (d ->> 0)::int as day, (d ->> 1)::numeric as amount,
			(now() at time zone 'UTC')::date as today
		from json_array_elements(coalesce(c.spend, '[]')) d) days) v
where c.merged_into = 0 and not c.hidden;
