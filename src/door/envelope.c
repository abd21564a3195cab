/*
 * envelope.c: cuts bodies into events.
 *
 * Each event is checked once, by the pass that also notes its attributes (json_check_object);
 * nothing is copied unless a text has escapes.  Only when that pass fails in the middle of an
 * array are the brackets counted to find where the item ends: one bad event must not cost the good
 * ones around it (P3), but a body whose end can not be found is refused as a whole, for then
 * nobody knows what else it said.
 */
#include "door/envelope.h"

#include "base/json.h"
#include "door/envelope_binary.h"
#include "engine/field.h"

#include <string.h>
#include <strings.h>

enum {
	A_TYPE,
	A_ID,
	A_SOURCE,
	A_TIME,
	A_SUBJECT,
	A_DATA,
	A_BASE64,
	A_CONTENT,
	A_VERSION,
	A_WANTED
};
static const struct json_member wanted[A_WANTED] = {
	[A_TYPE] = { "type", { 0 } },
	[A_ID] = { "id", { 0 } },
	[A_SOURCE] = { "source", { 0 } },
	[A_TIME] = { "time", { 0 } },
	[A_SUBJECT] = { "subject", { 0 } },
	[A_DATA] = { "data", { 0 } },
	[A_BASE64] = { "data_base64", { 0 } },
	[A_CONTENT] = { "datacontenttype", { 0 } },
	[A_VERSION] = { "specversion", { 0 } },
};

/* A body at work. */
struct reader {
	const struct envelope_input *in;
	struct arena *a;
	struct envelope_item *items;
	size_t n, cap;
	struct envelope_fault *fault;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

/* The whole body can not be taken. */
static bool refuse(
	struct reader *r, enum envelope_fault_kind kind, const char *reason, struct span path)
{
	*r->fault = (struct envelope_fault){ kind, reason, path };
	return false;
}

/* A fault of the JSON text, as text that outlives the check. */
static struct span fault_path(struct reader *r, const struct json_fault *fault, struct span at)
{
	return span_of(arena_printf(r->a, "%.*s%s", SPAN_ARG(at),
		fault->path[0] == '$' ? fault->path + 1 : fault->path));
}

static struct envelope_item *add_item(struct reader *r, struct span at)
{
	struct envelope_item *bigger;

	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 1;
		bigger = arena_array(r->a, struct envelope_item, r->cap);
		if (r->n)
			memcpy(bigger, r->items, r->n * sizeof *bigger);
		r->items = bigger;
	}
	r->items[r->n] = (struct envelope_item){ .envelope = { .shop = r->in->shop, .at = at } };
	return &r->items[r->n++];
}

/* "the event is larger than 64 KiB" */
static const char *too_large(struct arena *a, const char *what, size_t most)
{
	return arena_printf(a, "the %s is larger than %zu %s", what,
		most % (1 << 20) == 0 ? most >> 20 : most >> 10,
		most % (1 << 20) == 0 ? "MiB" : "KiB");
}

/* Says what is wrong with an item; the first fault stays. */
static void item_fault(
	struct reader *r, struct envelope_item *item, const char *reason, const char *member)
{
	struct span at = item->envelope.at;

	if (item->reason)
		return;
	item->reason = reason;
	item->path = member ? span_of(arena_printf(r->a, "%.*s.%s", SPAN_ARG(at), member)) : at;
}

/* An attribute that must be text; a number is one where ids are meant. */
static struct span item_text(struct reader *r, struct envelope_item *item,
	const struct json_member *m, bool may_be_number)
{
	enum json_kind kind = m->value.p ? json_kind(m->value) : JSON_NULL;

	if (kind == JSON_STRING)
		return json_text(m->value, r->a);
	if (kind == JSON_NUMBER && may_be_number)
		return span_trim(m->value);
	if (kind != JSON_NULL)
		item_fault(r, item, "must be text", m->key);
	return (struct span){ NULL, 0 };
}

/* data, or what data_base64 holds. */
static void item_data(struct reader *r, struct envelope_item *item, const struct json_member *m)
{
	struct span type = m[A_CONTENT].value.p ? json_text(m[A_CONTENT].value, r->a)
						: (struct span){ NULL, 0 };
	struct span packed = m[A_BASE64].value;
	const char *reason;

	item->envelope.data = m[A_DATA].value;
	if (!packed.p || json_is_null(packed))
		return;
	if (m[A_DATA].value.p && !json_is_null(m[A_DATA].value)) {
		item_fault(r, item, "data and data_base64 exclude each other", "data_base64");
		return;
	}
	reason = envelope_unpack(json_text(packed, r->a), type, r->a, &item->envelope.data);
	if (reason)
		item_fault(r, item, reason, "data_base64");
}

/* An item whose JSON was checked. */
static void item_fill(struct reader *r, struct envelope_item *item, const struct json_member *m)
{
	struct admit_envelope *e = &item->envelope;

	e->type = item_text(r, item, &m[A_TYPE], false);
	e->id = item_text(r, item, &m[A_ID], true);
	e->source = item_text(r, item, &m[A_SOURCE], false);
	e->time = item_text(r, item, &m[A_TIME], false);
	e->subject = item_text(r, item, &m[A_SUBJECT], true);
	if (m[A_VERSION].value.p && !json_is_null(m[A_VERSION].value) &&
		!json_text_is(m[A_VERSION].value, SPAN("1.0")))
		item_fault(r, item, "only CloudEvents 1.0 is understood", "specversion");
	item_data(r, item, m);
	if (e->raw.n > admit_limits.event_bytes)
		item_fault(r, item, too_large(r->a, "event", admit_limits.event_bytes), NULL);
}

/* The end of a value that could not be checked: where its brackets close.  NULL: they do not. */
static const char *skip_broken(const char *p, const char *end)
{
	int depth = 0;
	bool in_text = false;

	for (; p < end; p++) {
		if (in_text) {
			if (*p == '\\')
				p++;
			else if (*p == '"')
				in_text = false;
		} else if (*p == '"') {
			in_text = true;
		} else if (*p == '{' || *p == '[') {
			depth++;
		} else if (depth == 0 && (*p == ',' || *p == ']' || *p == '}')) {
			return p;
		} else if (*p == '}' || *p == ']') {
			depth--;
		}
	}
	return NULL;
}

enum { ELEMENT_PATH = 32 };

/* "$[3]": where the next element of a batch stands. */
static struct span element_path(struct reader *r)
{
	struct buf path = { .p = arena_alloc(r->a, ELEMENT_PATH), .cap = ELEMENT_PATH };

	buf_str(&path, "$[");
	buf_int(&path, (int64_t)r->n);
	buf_char(&path, ']');
	return buf_as_span(&path);
}

/* One element of a batch at p; returns the position behind it, or NULL when it has no end. */
static const char *read_element(struct reader *r, const char *p, const char *end)
{
	struct span at = element_path(r);
	struct envelope_item *item = add_item(r, at);
	struct json_member m[A_WANTED];
	struct json_fault fault;
	const char *behind;

	memcpy(m, wanted, sizeof m);
	behind = json_check_object(p, end, m, A_WANTED, &fault);
	if (behind) {
		item->envelope.raw = (struct span){ p, (size_t)(behind - p) };
		item_fill(r, item, m);
		return behind;
	}
	behind = skip_broken(p, end);
	if (!behind || behind == p) {
		refuse(r, ENVELOPE_NOT_READ, fault.what, fault_path(r, &fault, at));
		return NULL;
	}
	item->envelope.raw = span_trim((struct span){ p, (size_t)(behind - p) });
	item->reason = fault.what;
	item->path = fault_path(r, &fault, at);
	return behind;
}

/* [event, ...] */
static bool read_batch(struct reader *r, const char *p, const char *end)
{
	const char *what = "an array of events must end with ] and nothing may follow it";

	p = skip_blanks(p + 1, end);
	if (p < end && *p == ']')
		return skip_blanks(p + 1, end) == end ||
		       refuse(r, ENVELOPE_NOT_READ, what, SPAN("$"));
	for (;;) {
		if (r->n == admit_limits.batch_events)
			return refuse(r, ENVELOPE_TOO_LARGE,
				arena_printf(r->a, "more than %zu events in one body", r->n),
				element_path(r));
		p = read_element(r, p, end);
		if (!p)
			return false;
		p = skip_blanks(p, end);
		if (p == end || *p != ',')
			break;
		p = skip_blanks(p + 1, end);
	}
	if (p == end || *p != ']' || skip_blanks(p + 1, end) != end)
		return refuse(r, ENVELOPE_NOT_READ, what, SPAN("$"));
	return true;
}

/* One event, with its attributes inside. */
static bool read_single(struct reader *r, const char *p, const char *end)
{
	struct envelope_item *item;
	struct json_member m[A_WANTED];
	struct json_fault fault;
	const char *behind;

	memcpy(m, wanted, sizeof m);
	behind = json_check_object(p, end, m, A_WANTED, &fault);
	if (!behind)
		return refuse(r, ENVELOPE_NOT_READ, fault.what, fault_path(r, &fault, SPAN("$")));
	if (skip_blanks(behind, end) != end)
		return refuse(r, ENVELOPE_NOT_READ, "something stands behind the event", SPAN("$"));
	item = add_item(r, SPAN("$"));
	item->envelope.raw = (struct span){ p, (size_t)(behind - p) };
	item_fill(r, item, m);
	return true;
}

/* The body is the data; the attributes came beside it. */
static bool read_binary(struct reader *r, const struct envelope_binary *b)
{
	struct json_fault fault;
	struct envelope_item *item;
	struct span body = span_trim(r->in->body);

	if (body.n && !json_check_all(body, &fault))
		return refuse(
			r, ENVELOPE_NOT_READ, fault.what, fault_path(r, &fault, SPAN("$.data")));
	item = add_item(r, SPAN("$"));
	item->envelope.id = b->id;
	item->envelope.source = b->source;
	item->envelope.type = b->type;
	item->envelope.subject = b->subject;
	item->envelope.time = b->time;
	item->envelope.data = body.n ? body : (struct span){ NULL, 0 };
	if (!span_is(b->specversion, "1.0"))
		item_fault(r, item, "only CloudEvents 1.0 is understood", "specversion");
	if (body.n > admit_limits.event_bytes)
		item_fault(r, item, too_large(r->a, "event", admit_limits.event_bytes), NULL);
	return true;
}

bool envelope_read(const struct envelope_input *in, struct arena *a,
	struct envelope_item **ret_items, size_t *ret_n, struct envelope_fault *ret_fault)
{
	struct reader r = { .in = in, .a = a, .fault = ret_fault };
	const char *p = in->body.n ? in->body.p : "", *end = p + in->body.n;
	struct envelope_binary binary;
	const char *reason;
	bool read;

	if (in->body.n > admit_limits.batch_bytes)
		return refuse(&r, ENVELOPE_TOO_LARGE,
			too_large(a, "body", admit_limits.batch_bytes), SPAN(""));
	p = skip_blanks(p, end);
	reason = envelope_binary_read(in, a, &binary);
	if (reason)
		return refuse(&r, ENVELOPE_NOT_READ, reason, SPAN(""));
	if (binary.is_there)
		read = read_binary(&r, &binary);
	else if (p < end && *p == '[')
		read = read_batch(&r, p, end);
	else
		read = read_single(&r, p, end);
	if (!read)
		return false;
	*ret_items = r.items;
	*ret_n = r.n;
	return true;
}

bool envelope_admit(struct shop_event *e, const struct envelope_item *item, enum admit_door door,
	int64_t received_us, struct arena *a)
{
	if (!item->reason)
		return admit_event(e, &item->envelope, door, received_us, a);
	admit_quarantine(e, &item->envelope, received_us, item->reason, item->path);
	return false;
}
