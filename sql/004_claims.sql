-- 004: a batch that claims an identity for its card must not be saved when another card has it.

create function identity_taken(kind smallint, value text) returns bigint language plpgsql as $$
begin
	raise exception using errcode = 'NK001',
		message = format('identity %s of kind %s belongs to another customer', value, kind);
end
$$;
