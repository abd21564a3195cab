/*
 * field.c: JSON values read as kinds.
 *
 * Generous where there is only one reading ("12.50", 1 for true), strict where there are two: a
 * comma is a decimal point in one country and a thousands mark in the next, a number as time is
 * seconds to some and milliseconds to others.  A wrong amount in a card is worse than none.
 */
#include "engine/field.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {
	[FIELD_ANY] = "any",
	[FIELD_TEXT] = "text",
	[FIELD_MONEY] = "money",
	[FIELD_NUMBER] = "number",
	[FIELD_BOOL] = "bool",
	[FIELD_TIME] = "time",
	[FIELD_LIST] = "list",
	[FIELD_OBJECT] = "object",
};

const char *field_kind_name(enum field_kind k)
{
	return kind_names[k];
}

struct span field_get(struct span object, const char *key)
{
	struct span value;

	if (object.p && json_get(object, span_of(key), &value) && !json_is_null(value))
		return value;
	return (struct span){ NULL, 0 };
}

/* Which of the keys it is, or n.  Keys with escapes are rare, but they are keys. */
static size_t find_key(struct span key, const struct span *keys, size_t n)
{
	bool escaped = memchr(key.p, '\\', key.n) != NULL;
	size_t i;

	for (i = 0; i < n; i++)
		if (escaped ? json_text_is(key, keys[i])
			    : key.n == keys[i].n + 2 && key.p[1] == keys[i].p[0] &&
					memcmp(key.p + 1, keys[i].p, keys[i].n) == 0)
			break;
	return i;
}

void field_pick(struct span object, const struct span *keys, struct span *ret_values, size_t n)
{
	struct json_iter it;
	struct span key, value;
	size_t i;

	for (i = 0; i < n; i++)
		ret_values[i] = (struct span){ NULL, 0 };
	if (!object.p || json_kind(object) != JSON_OBJECT)
		return;
	json_iter_init(&it, object);
	while (json_next(&it, &key, &value)) {
		i = find_key(key, keys, n);
		if (i < n && !json_is_null(value))
			ret_values[i] = value;
	}
}

struct span field_text(struct span value, struct arena *a)
{
	struct span text = { NULL, 0 };

	if (!value.p)
		return text;
	if (json_kind(value) == JSON_NUMBER)
		return span_trim(value);
	text = span_trim(json_text(value, a));
	return text.n ? text : (struct span){ NULL, 0 };
}

/* The inside of a short string without escapes: all that numbers, words and times need. */
static struct span plain(struct span value)
{
	value = span_trim(value);
	if (value.n < 2 || value.p[0] != '"' || memchr(value.p, '\\', value.n))
		return (struct span){ NULL, 0 };
	return span_trim((struct span){ value.p + 1, value.n - 2 });
}

/* -?digits[.digits], and nothing else. */
static bool is_decimal(struct span s)
{
	size_t i = s.n && s.p[0] == '-', whole = 0, part = 0;

	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		whole++;
	if (i == s.n)
		return whole > 0;
	if (s.p[i++] != '.')
		return false;
	for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		part++;
	return whole > 0 && part > 0 && i == s.n;
}

bool field_number(struct span value, double *ret)
{
	struct span text;
	char digits[48];
	double x;

	if (!value.p)
		return false;
	if (json_number(value, ret))
		return true;
	text = plain(value);
	if (text.n >= sizeof digits || !is_decimal(text))
		return false;
	memcpy(digits, text.p, text.n);
	digits[text.n] = '\0';
	x = strtod(digits, NULL);
	if (x > 1e15 || x < -1e15)
		return false;
	*ret = x == 0 ? 0 : x;
	return true;
}

bool field_integer(struct span value, int64_t *ret)
{
	if (!value.p)
		return false;
	return json_integer(value, ret) ||
	       (is_decimal(plain(value)) && span_to_i64(plain(value), ret));
}

bool field_bool(struct span value, bool *ret)
{
	static const char *const yes[] = { "true", "yes", "on", "1" };
	static const char *const no[] = { "false", "no", "off", "0" };
	struct span word;

	if (!value.p)
		return false;
	word = plain(value).p ? plain(value) : span_trim(value);
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		if (span_is(word, yes[i]) || span_is(word, no[i])) {
			*ret = span_is(word, yes[i]);
			return true;
		}
	return false;
}

bool field_time(struct span value, int64_t *ret_us)
{
	static const char midnight[] = "T00:00:00Z";
	char day[10 + sizeof midnight];
	struct span text;

	if (!value.p)
		return false;
	text = plain(value);
	if (text.n != 10)
		return text.n && clock_parse_rfc3339(text, ret_us);
	memcpy(day, text.p, 10);
	memcpy(day + 10, midnight, sizeof midnight);
	return clock_parse_rfc3339(span_of(day), ret_us);
}
