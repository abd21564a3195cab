-- 002: partitions by month.
--
-- partitions_ahead() makes what is missing of this month and the next two; partitions_old() lists what
-- may go; engines call both every hour.  LIKE, CHECK, ATTACH: `create .. partition of` would lock the
-- parent exclusively, this does not.  Old ones are detached CONCURRENTLY, which no function can do: the
-- caller does it, one statement each.

create function partition_make(parent text, month timestamptz) returns boolean language plpgsql as $$
declare
	name text := parent || to_char(month at time zone 'UTC', '"_"YYYY"_"MM');
	col text := case parent when 'event' then 'received' else 'ended' end;
	till timestamptz := (month at time zone 'UTC' + interval '1 month') at time zone 'UTC';
begin
	if to_regclass('nudged.' || name) is not null then
		return false;
	end if;
	execute format('create table nudged.%I (like nudged.%I including defaults including storage,'
		' constraint %I check (%I >= %L and %I < %L))',
		name, parent, name || '_month', col, month, col, till);
	if parent = 'event' then
		execute format('create unique index %I on nudged.%I (id, source, store)',
			name || '_key', name);
	end if;
	execute format('alter table nudged.%I attach partition nudged.%I for values from (%L) to (%L)',
		parent, name, month, till);
	return true;
end $$;

-- How many were made; -1 when somebody else is at it.
create function partitions_ahead() returns int language plpgsql as $$
declare
	made int := 0;
	month timestamptz;
	parent text;
begin
	if not pg_try_advisory_xact_lock(hashtext('nudged/partitions')) then
		return -1;
	end if;
	foreach parent in array array['event', 'chain_log'] loop
		for ahead in 0..2 loop
			month := (date_trunc('month', now() at time zone 'UTC')
				+ make_interval(months => ahead)) at time zone 'UTC';
			if nudged.partition_make(parent, month) then
				made := made + 1;
			end if;
		end loop;
	end loop;
	return made;
end $$;

-- The end of the last month for which both tables have a partition, without a gap from now on.
create function partitions_until() returns timestamptz language sql stable as $$
	select coalesce(min(m), 'infinity') from (
		select (date_trunc('month', now() at time zone 'UTC') + make_interval(months => ahead))
			at time zone 'UTC' as m
		from generate_series(0, 24) ahead, unnest(array['event', 'chain_log']) parent
		where not exists (select from pg_inherits i join pg_class c on c.oid = i.inhrelid
			where i.inhparent = ('nudged.' || parent)::regclass
			and c.relname = parent || to_char(date_trunc('month', now() at time zone 'UTC')
				+ make_interval(months => ahead), '"_"YYYY"_"MM'))) missing
$$;

-- What is older than `keep` and what must be done with it: 'detach', 'finalize' (a detach that was
-- interrupted) or 'drop' (detached already).  keep_*: an interval as text.
create function partitions_old(keep_events text, keep_chains text)
returns table (parent text, name text, todo text) language sql stable as $$
	select p.parent, c.relname::text,
		case when i.inhrelid is null then 'drop' when i.inhdetachpending then 'finalize'
			else 'detach' end
	from (values ('event', keep_events), ('chain_log', keep_chains)) p(parent, keep)
	join pg_class c on c.relname ~ ('^' || p.parent || '_[0-9]{4}_[0-9]{2}$')
		and c.relkind = 'r' and c.relnamespace = 'nudged'::regnamespace
	left join pg_inherits i on i.inhrelid = c.oid
	where (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month') at time zone 'UTC'
		< now() - p.keep::interval
	order by c.relname
$$;

select partitions_ahead();
