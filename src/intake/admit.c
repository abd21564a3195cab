/*
 * admit.c: from envelope to event.
 *
 * The content hash (P2) is SHA-256 over type, the instant (not its spelling), the customer keys as
 * they are understood, and the data in canonical form; each part ends before the next can be
 * mistaken for it.  So a re-send that a client library has serialised anew is a duplicate, one
 * that says something else a conflict. The instant is the one that was claimed, even if it lies
 * too far ahead to be believed.
 *
 * Faults are found in the order of the envelope and only the first is told: a shop that repairs it
 * sends again and hears of the next.
 */
#include "intake/admit.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "intake/admit_keys.h"

#include <string.h>

enum { TYPE_MOST = 64, SOURCE_MOST = 256, RANDOM_BYTES = 16, CONTENT_USUAL = 2048 };
struct admit_limits admit_limits = { .event_bytes = 64 * 1024,
	.batch_events = 500,
	.batch_bytes = 1024 * 1024,
	.id_bytes = 128,
	.future_us = 10 * 60 * CLOCK_SECOND_US };

/* The JSON path of a member of the event. */
static struct span path_of(const struct admit_envelope *env, const char *member, struct arena *a)
{
	struct span at = env->at.n ? env->at : SPAN("$");

	return span_of(arena_printf(a, "%.*s.%s", SPAN_ARG(at), member));
}

void admit_quarantine(struct shop_event *e, const struct admit_envelope *env, int64_t received_us,
	const char *reason, struct span path)
{
	unsigned char digest[HASH_SIZE];

	*e = (struct shop_event){ .shop = env->shop,
		.source = env->source.n <= SOURCE_MOST ? env->source : SPAN(""),
		.id = env->id.n <= ADMIT_ID_MOST ? env->id : SPAN(""),
		.type = env->type.n <= TYPE_MOST ? env->type : SPAN(""),
		.data = env->raw.p ? env->raw : env->data,
		.time_us = TIME_NONE,
		.received_us = received_us,
		.claimed_us = TIME_NONE,
		.origin = EVENT_POSTED,
		.status = EVENT_QUARANTINED,
		.deduplicated = true,
		.reason = reason,
		.path = path };
	hash_sha256(&e->data, 1, digest);
	memcpy(e->hash, digest, sizeof e->hash);
}

/* Needs no quotes anywhere; "*" is for patterns. */
static bool is_type_byte(char c)
{
	switch (c) {
	case '"':
	case '\'':
	case '`':
	case '\\':
	case '*': return false;
	default: return c > ' ' && c <= '~';
	}
}

static bool is_type(struct span type)
{
	for (size_t i = 0; i < type.n; i++)
		if (!is_type_byte(type.p[i]))
			return false;
	return type.n > 0 && type.n <= TYPE_MOST;
}

/* The envelope's texts; NULL or what is wrong with the member. */
static const char *check_texts(
	const struct admit_envelope *env, enum admit_door door, const char **ret_member)
{
	*ret_member = "type";
	if (!env->type.n)
		return "type is missing";
	if (!is_type(env->type))
		return "type must be 1 to 64 printable ASCII characters without blanks, quotes and *";
	*ret_member = "id";
	if (env->id.p && !env->id.n)
		return "id is empty; leave it out if there is none";
	if (env->id.n > admit_limits.id_bytes)
		return "id is longer than id_bytes of [limits] allows (128)";
	if (!admit_is_printable(env->id))
		return "id contains control characters";
	if (door != ADMIT_INTERNAL && !env->source.n && span_starts(env->id, "inbox:"))
		return "ids that begin with \"inbox:\" are the daemon's own";
	*ret_member = "source";
	if (env->source.n > SOURCE_MOST)
		return "source is longer than 256 bytes";
	if (!admit_is_printable(env->source))
		return "source contains control characters";
	if (door != ADMIT_INTERNAL && span_starts(env->source, "nudged:"))
		return "sources that begin with \"nudged:\" are the daemon's own";
	*ret_member = "data";
	if (env->data.p && json_kind(env->data) != JSON_OBJECT && json_kind(env->data) != JSON_NULL)
		return "data must be an object";
	return NULL;
}

/* Reads the time; one too far ahead gives way to that of receipt. */
static const char *set_time(struct shop_event *e, struct span time, int64_t *ret_claimed_us)
{
	int64_t at_us;

	*ret_claimed_us = TIME_NONE;
	if (!time.p)
		return NULL;
	if (!clock_parse_rfc3339(span_trim(time), &at_us))
		return "time is no RFC 3339 time with a zone";
	if (at_us < 0)
		return "time lies before 1970";
	*ret_claimed_us = at_us;
	e->time_us = at_us;
	if (at_us > e->received_us + admit_limits.future_us) {
		e->time_us = e->received_us;
		e->claimed_us = at_us;
	}
	return NULL;
}

/* SHA-256 of the content. */
static void hash_content(
	const struct shop_event *e, int64_t claimed_us, unsigned char ret[HASH_SIZE])
{
	UNSET char first[CONTENT_USUAL];
	struct buf text = BUF_ON(first);

	buf_span(&text, e->type);
	buf_char(&text, '\n');
	if (claimed_us != TIME_NONE)
		buf_int(&text, claimed_us);
	for (unsigned i = 0; i < e->n_identity; i++) {
		buf_char(&text, '\n');
		buf_int(&text, e->identity[i].kind);
		buf_char(&text, ' ');
		buf_span(&text, e->identity[i].value);
	}
	buf_str(&text, "\n\n");
	json_canon(e->data, &text);
	hash_sha256((struct span[]){ buf_as_span(&text) }, 1, ret);
	buf_free(&text);
}

/* The id of an event that came without: its content, or, where the same may happen twice, a fresh
 * one. */
static const char *make_id(struct shop_event *e, const unsigned char digest[HASH_SIZE],
	int64_t claimed_us, enum admit_door door, struct arena *a)
{
	unsigned char fresh[RANDOM_BYTES];
	char hex[HASH_HEX];

	if (claimed_us == TIME_NONE && door == ADMIT_MQTT)
		return "has neither id nor time, so a repetition could not be told from a new event";
	if (claimed_us != TIME_NONE) {
		hash_hex(digest, HASH_SIZE, hex);
	} else {
		hash_random(fresh, sizeof fresh);
		hash_hex(fresh, sizeof fresh, hex);
		e->deduplicated = false;
	}
	e->id = span_of(arena_strdup(a, hex));
	return NULL;
}

/* Everything behind the texts; NULL or what is wrong with the member. */
static const char *fill(struct shop_event *e, const struct admit_envelope *env,
	enum admit_door door, struct arena *a, const char **ret_member)
{
	unsigned char digest[HASH_SIZE];
	struct admit_keys_fault fault;
	const char *reason;
	int64_t claimed_us;

	*ret_member = "time";
	reason = set_time(e, env->time, &claimed_us);
	if (reason)
		return reason;
	fault = admit_keys(e, env, a);
	*ret_member = fault.member;
	if (fault.reason)
		return fault.reason;
	hash_content(e, claimed_us, digest);
	memcpy(e->hash, digest, sizeof e->hash);
	*ret_member = "id";
	return e->id.p ? NULL : make_id(e, digest, claimed_us, door, a);
}

bool admit_event(struct shop_event *e, const struct admit_envelope *env, enum admit_door door,
	int64_t received_us, struct arena *a)
{
	const char *member, *reason = check_texts(env, door, &member);

	if (!reason) {
		*e = (struct shop_event){ .shop = env->shop,
			.source = env->source.p ? env->source : SPAN(""),
			.id = env->id,
			.type = env->type,
			.data = env->data.p && !json_is_null(env->data) ? env->data : SPAN("{}"),
			.time_us = TIME_NONE,
			.received_us = received_us,
			.claimed_us = TIME_NONE,
			.origin = EVENT_POSTED,
			.status = EVENT_NEW,
			.deduplicated = true };
		reason = fill(e, env, door, a, &member);
	}
	if (!reason)
		return true;
	admit_quarantine(e, env, received_us, reason, path_of(env, member, a));
	return false;
}
