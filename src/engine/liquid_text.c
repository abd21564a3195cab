/*
 * liquid_text.c: filters over text.
 *
 * Text is UTF-8 and counted in code points where the reference counts characters.  Every filter
 * builds its result in the work's scratch (work_begin, work_put, work_end), which is capped, so
 * `replace` and its kin cannot grow without bound.  Arguments become text before work_begin:
 * value_to_text uses the same scratch.
 */
#include "base/json.h"
#include "engine/format.h"
#include "engine/liquid_filter.h"

#include <string.h>

/* ---- helpers ---- */

static bool text_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

/* Bytes of the code point that begins at p. */
static size_t text_step(struct span s, size_t at)
{
	size_t n = 1;

	while (at + n < s.n && (s.p[at + n] & 0xC0) == 0x80)
		n++;
	return n;
}

static size_t text_length(struct span s)
{
	size_t n = 0, i;

	for (i = 0; i < s.n; i += text_step(s, i))
		n++;
	return n;
}

/* The part from code point `from`, `n` of them. */
static struct span text_part(struct span s, size_t from, size_t n)
{
	size_t a = 0, b;

	for (; from > 0 && a < s.n; from--)
		a += text_step(s, a);
	for (b = a; n > 0 && b < s.n; n--)
		b += text_step(s, b);
	return (struct span){ s.p + a, b - a };
}

/* The first place of a text in another; no text when there is none. */
static struct span text_find(struct span s, struct span needle)
{
	const char *at = memmem(s.p, s.n, needle.p, needle.n);

	return (struct span){ at, at ? needle.n : 0 };
}

/* The last place; each one before it is paid for, overlapping ones would cost their square. */
static bool text_find_last(struct work *w, struct span s, struct span needle, struct span *ret)
{
	const char *p = s.p, *end = s.p + s.n;

	*ret = (struct span){ needle.n ? NULL : end, needle.n };
	while (needle.n && (p = memmem(p, (size_t)(end - p), needle.p, needle.n)) != NULL) {
		if (!work_charge(w, needle.n / 8))
			return false;
		ret->p = p++;
	}
	return true;
}

/* Gives a part of the input, borrowed. */
static bool text_give(struct span s, struct value *ret)
{
	*ret = value_text(s);
	return true;
}

/* ---- joining ---- */

/* Puts text; escaped when it stands beside safe text and is not safe itself. */
static void text_put_beside(struct work *w, struct span s, bool is_safe, bool want_safe)
{
	if (want_safe && !is_safe)
		value_put_escaped(w, s);
	else
		work_put(w, s);
}

/* a and b one after the other; safe when one of them was. */
static bool text_concat(
	struct work *w, const struct value *a, const struct value *b, struct value *ret)
{
	bool is_safe = a->is_safe || b->is_safe;
	struct span x, y;

	if (!value_to_text(w, a, &x) || !value_to_text(w, b, &y))
		return false;
	work_begin(w);
	text_put_beside(w, x, a->is_safe, is_safe);
	text_put_beside(w, y, b->is_safe, is_safe);
	if (!work_end(w, ret))
		return false;
	ret->is_safe = is_safe;
	return true;
}

bool filter_append(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return text_concat(w, in, &args->v[0], ret);
}

bool filter_prepend(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return text_concat(w, &args->v[0], in, ret);
}

/* ---- letters ---- */

/* Adds text in other letters to scratch. */
static bool text_put_letters(struct work *w, enum format_case c, struct span s)
{
	if (s.n * 3 > w->max_text * 4)
		w->is_too_long = true;
	else if (!format_letters(w->format, w->env->language, c, s, &w->scratch, w->err))
		return false;
	return true;
}

bool filter_upcase(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	return text_put_letters(w, FORMAT_UPPER, s) && work_end(w, ret);
}

bool filter_downcase(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	return text_put_letters(w, FORMAT_LOWER, s) && work_end(w, ret);
}

bool filter_capitalize(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s, first;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	first = text_part(s, 0, 1);
	return text_put_letters(w, FORMAT_UPPER, first) &&
	       text_put_letters(w, FORMAT_LOWER, (struct span){ s.p + first.n, s.n - first.n }) &&
	       work_end(w, ret);
}

/* ---- HTML ---- */

bool filter_escape(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s;

	(void)args;
	if (in->is_safe) {
		*ret = *in;
		return true;
	}
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	value_put_escaped(w, s);
	if (!work_end(w, ret))
		return false;
	ret->is_safe = w->env->escape == LIQUID_HTML;
	return true;
}

/* The length of the entity that begins at s.p[at], 0 when there is none. */
static size_t text_entity(struct span s, size_t at)
{
	size_t i = at + 1;

	if (i < s.n && s.p[i] == '#')
		i++;
	for (; i < s.n && i - at < 12; i++) {
		char c = s.p[i];

		if (c == ';')
			return i - at > 1 && s.p[i - 1] != '#' ? i - at + 1 : 0;
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')))
			return 0;
	}
	return 0;
}

bool filter_escape_once(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s;
	size_t i, n, from = 0;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	for (i = 0; i < s.n; i++) {
		if (s.p[i] != '&' || (n = text_entity(s, i)) == 0)
			continue;
		value_put_escaped(w, (struct span){ s.p + from, i - from });
		work_put(w, (struct span){ s.p + i, n });
		from = i + n;
		i = from - 1;
	}
	value_put_escaped(w, (struct span){ s.p + from, s.n - from });
	if (!work_end(w, ret))
		return false;
	ret->is_safe = w->env->escape == LIQUID_HTML;
	return true;
}

bool filter_raw(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	*ret = value_text(s);
	ret->is_safe = true;
	return true;
}

bool filter_newline_to_br(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	bool want_safe = w->env->escape == LIQUID_HTML;
	struct span s;
	size_t i, from = 0;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	for (i = 0; i < s.n; i++) {
		size_t line = i;

		if (s.p[i] != '\n')
			continue;
		if (line > from && s.p[line - 1] == '\r')
			line--;
		text_put_beside(
			w, (struct span){ s.p + from, line - from }, in->is_safe, want_safe);
		work_put(w, SPAN("<br />\n"));
		from = i + 1;
	}
	text_put_beside(w, (struct span){ s.p + from, s.n - from }, in->is_safe, want_safe);
	if (!work_end(w, ret))
		return false;
	ret->is_safe = want_safe;
	return true;
}

/* Bytes of the thing in angle brackets at s.p[at] (script, style and comments whole), 0 for none. */
static size_t text_tag(struct span s, size_t at)
{
	static const struct {
		const char *open, *close;
	} rows[] = { { "<script", "</script>" }, { "<!--", "-->" }, { "<style", "</style>" },
		{ "<", ">" } };
	size_t i, j;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t open = strlen(rows[i].open), close = strlen(rows[i].close);

		if (s.n - at < open || strncasecmp(s.p + at, rows[i].open, open) != 0)
			continue;
		for (j = at + open; j + close <= s.n; j++)
			if (strncasecmp(s.p + j, rows[i].close, close) == 0)
				return j + close - at;
	}
	return 0;
}

bool filter_strip_html(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s;
	size_t i, n;
	bool is_open = true; /* a tag may still close: without this, "<<<<" costs its square */

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	for (i = 0; i < s.n; i += n) {
		n = 0;
		if (s.p[i] == '<' && is_open) {
			if (!work_charge(w, 8))
				return false;
			n = text_tag(s, i);
			is_open = n > 0;
		}
		if (n == 0) {
			work_put_char(w, s.p[i]);
			n = 1;
		}
	}
	return work_end(w, ret);
}

/* ---- blanks ---- */

/* Cuts blanks off one or both ends. */
static bool text_strip(
	struct work *w, const struct value *in, bool left, bool right, struct value *ret)
{
	struct span s;

	if (!value_to_text(w, in, &s))
		return false;
	for (; left && s.n && text_is_blank(s.p[0]); s.n--)
		s.p++;
	for (; right && s.n && text_is_blank(s.p[s.n - 1]);)
		s.n--;
	return text_give(s, ret);
}

bool filter_strip(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return text_strip(w, in, true, true, ret);
}

bool filter_lstrip(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return text_strip(w, in, true, false, ret);
}

bool filter_rstrip(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return text_strip(w, in, false, true, ret);
}

bool filter_strip_newlines(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s;
	size_t i;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	for (i = 0; i < s.n; i++)
		if (s.p[i] != '\n' && !(s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n'))
			work_put_char(w, s.p[i]);
	return work_end(w, ret);
}

/* ---- replacing ---- */

/* Every place of `what` becomes `with`; an empty `what` stands between all characters. */
static bool text_replace_all(
	struct work *w, struct span s, struct span what, struct span with, struct value *ret)
{
	size_t i = 0, n;

	work_begin(w);
	while (i < s.n && what.n) {
		struct span rest = { s.p + i, s.n - i }, at = text_find(rest, what);

		if (at.p == NULL)
			break;
		work_put(w, (struct span){ rest.p, (size_t)(at.p - rest.p) });
		work_put(w, with);
		i = (size_t)(at.p - s.p) + what.n;
	}
	for (; what.n == 0 && i < s.n; i += n) {
		n = text_step(s, i);
		work_put(w, with);
		work_put(w, (struct span){ s.p + i, n });
	}
	if (what.n == 0)
		work_put(w, with);
	work_put(w, (struct span){ s.p + i, s.n - i });
	return work_end(w, ret);
}

/* One place of `what` becomes `with`. */
static bool text_replace_one(struct work *w, struct span s, struct span what, struct span with,
	bool last, struct value *ret)
{
	struct span at = text_find(s, what);

	if (last && !text_find_last(w, s, what, &at))
		return false;
	if (at.p == NULL)
		return text_give(s, ret);
	work_begin(w);
	work_put(w, (struct span){ s.p, (size_t)(at.p - s.p) });
	work_put(w, with);
	work_put(w, (struct span){ at.p + at.n, s.n - (size_t)(at.p - s.p) - at.n });
	return work_end(w, ret);
}

enum text_which { TEXT_ALL, TEXT_FIRST, TEXT_LAST };

static bool text_replace(struct work *w, const struct value *in, const struct filter_args *args,
	enum text_which which, struct value *ret)
{
	struct span s, what, with = { "", 0 };

	if (!value_to_text(w, in, &s) || !value_to_text(w, &args->v[0], &what) ||
		(args->n > 1 && !value_to_text(w, &args->v[1], &with)))
		return false;
	if (!work_charge(w, s.n / 16))
		return false;
	if (which == TEXT_ALL)
		return text_replace_all(w, s, what, with, ret);
	return text_replace_one(w, s, what, with, which == TEXT_LAST, ret);
}

bool filter_replace(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return text_replace(w, in, args, TEXT_ALL, ret);
}

bool filter_replace_first(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return text_replace(w, in, args, TEXT_FIRST, ret);
}

bool filter_replace_last(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	return text_replace(w, in, args, TEXT_LAST, ret);
}

/* ---- cutting ---- */

/* Where a slice begins and how long it is, for something of `all` elements; false for nothing. */
static bool text_slice_bounds(struct work *w, const struct filter_args *args, int64_t all,
	int64_t *ret_from, int64_t *ret_n, bool *ret_some)
{
	int64_t from, n = 1;

	if (!value_as_index(&args->v[0], &from) ||
		(args->n > 1 && args->v[1].kind != VALUE_NIL && !value_as_index(&args->v[1], &n)))
		return err_set(w->err, "its arguments must be whole numbers");
	if (from < 0)
		from += all;
	*ret_some = from >= 0 && from < all && n > 0;
	*ret_from = from;
	*ret_n = n;
	return true;
}

bool filter_slice(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	bool is_list = value_is_list(in), some = false;
	struct value list;
	struct span s;
	int64_t from = 0, n = 0, all;

	if (is_list ? !value_elements(w, in, &list) : !value_to_text(w, in, &s))
		return false;
	all = (int64_t)(is_list ? list.array.n : text_length(s));
	if (!text_slice_bounds(w, args, all, &from, &n, &some))
		return false;
	if (!some)
		*ret = is_list ? value_array(NULL, 0) : value_text((struct span){ "", 0 });
	else if (is_list)
		*ret = value_array(list.array.v + from, (size_t)(n < all - from ? n : all - from));
	else
		*ret = value_text(text_part(s, (size_t)from, (size_t)n));
	return true;
}

bool filter_truncate(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s, tail = SPAN("...");
	int64_t most = args->n && args->v[0].kind != VALUE_NIL ? value_to_integer(&args->v[0]) : 50;
	size_t tail_n, keep;

	if (!value_to_text(w, in, &s) || (args->n > 1 && !value_to_text(w, &args->v[1], &tail)))
		return false;
	if (most < 0)
		most = 0;
	if (!work_charge(w, s.n / 64) || text_length(s) <= (size_t)most)
		return text_give(s, ret);
	tail_n = text_length(tail);
	keep = (size_t)most > tail_n ? (size_t)most - tail_n : 0;
	work_begin(w);
	work_put(w, text_part(s, 0, keep));
	work_put(w, tail);
	return work_end(w, ret);
}

/* Cuts the next word off; empty at the end. */
static struct span text_next_word(struct span *rest)
{
	size_t a = 0, b;
	struct span word;

	while (a < rest->n && text_is_blank(rest->p[a]))
		a++;
	for (b = a; b < rest->n && !text_is_blank(rest->p[b]);)
		b++;
	word = (struct span){ rest->p + a, b - a };
	*rest = (struct span){ rest->p + b, rest->n - b };
	return word;
}

bool filter_truncatewords(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s, rest, word, tail = SPAN("...");
	int64_t most = args->n && args->v[0].kind != VALUE_NIL ? value_to_integer(&args->v[0]) : 15;
	int64_t i;

	if (!value_to_text(w, in, &s) || (args->n > 1 && !value_to_text(w, &args->v[1], &tail)))
		return false;
	if (most < 1)
		most = 1;
	rest = s;
	work_begin(w);
	for (i = 0; i < most && (word = text_next_word(&rest)).n; i++) {
		if (i)
			work_put_char(w, ' ');
		work_put(w, word);
	}
	if (text_next_word(&rest).n == 0)
		return text_give(s, ret);
	work_put(w, tail);
	return work_end(w, ret);
}

/* Adds one part of a split to the list in scratch-less room that was made for all of them. */
static size_t text_split_fill(struct span s, struct span by, struct value *to, size_t room)
{
	size_t n = 0;

	while (s.n) {
		struct span part = s;

		if (by.n == 0) {
			part.n = text_step(s, 0);
			s = (struct span){ s.p + part.n, s.n - part.n };
		} else {
			struct span at = text_find(s, by);

			if (at.p)
				part.n = (size_t)(at.p - s.p);
			s = at.p ? (struct span){ at.p + at.n, s.n - part.n - at.n }
				 : (struct span){ s.p + s.n, 0 };
		}
		if (to && n < room)
			to[n] = value_text(part);
		n++;
	}
	return n;
}

/* Splits at blanks, as Ruby does for " ". */
static size_t text_split_words(struct span s, struct value *to, size_t room)
{
	struct span word;
	size_t n = 0;

	while ((word = text_next_word(&s)).n) {
		if (to && n < room)
			to[n] = value_text(word);
		n++;
	}
	return n;
}

bool filter_split(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct value *v;
	struct span s, by;
	size_t n;
	bool words;

	if (!value_to_text(w, in, &s) || !value_to_text(w, &args->v[0], &by))
		return false;
	words = span_is(by, " ");
	n = words ? text_split_words(s, NULL, 0) : text_split_fill(s, by, NULL, 0);
	v = work_array(w, n);
	if (v == NULL)
		return false;
	n = words ? text_split_words(s, v, n) : text_split_fill(s, by, v, n);
	while (n > 0 && v[n - 1].text.n == 0)
		n--;
	*ret = value_array(v, n);
	return true;
}

/* ---- codes ---- */

bool filter_url_encode(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	static const char hex[] = "0123456789ABCDEF";
	struct span s;
	size_t i;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	for (i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			(c && strchr("-_.~", c)))
			work_put_char(w, (char)c);
		else if (c == ' ')
			work_put_char(w, '+');
		else
			work_put(w, (struct span){ (char[]){ '%', hex[c >> 4], hex[c & 15] }, 3 });
	}
	return work_end(w, ret);
}

static int text_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Ends a text that was decoded from something: it must be text. */
static bool text_end_decoded(struct work *w, struct value *ret)
{
	if (!json_is_text(buf_as_span(&w->scratch)))
		return err_set(w->err, "what it decodes to is not valid UTF-8 text");
	return work_end(w, ret);
}

bool filter_url_decode(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	struct span s;
	size_t i;

	(void)args;
	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	for (i = 0; i < s.n; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && text_hex(s.p[i + 1]) >= 0 &&
			text_hex(s.p[i + 2]) >= 0) {
			work_put_char(w, (char)(text_hex(s.p[i + 1]) * 16 + text_hex(s.p[i + 2])));
			i += 2;
		} else {
			work_put_char(w, s.p[i] == '+' ? ' ' : s.p[i]);
		}
	}
	return text_end_decoded(w, ret);
}

static const char text_base64[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char text_base64_url[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* RFC 4648, sections 4 and 5, with padding. */
static bool text_encode64(
	struct work *w, const struct value *in, const char *letters, struct value *ret)
{
	struct span s;
	size_t i;

	if (!value_to_text(w, in, &s))
		return false;
	work_begin(w);
	for (i = 0; i < s.n; i += 3) {
		const unsigned char *p = (const unsigned char *)s.p + i;
		size_t n = s.n - i < 3 ? s.n - i : 3;
		unsigned v = (unsigned)p[0] << 16 | (n > 1 ? (unsigned)p[1] << 8 : 0) |
			     (n > 2 ? p[2] : 0u);
		char out[4] = { letters[v >> 18], letters[v >> 12 & 63],
			n > 1 ? letters[v >> 6 & 63] : '=', n > 2 ? letters[v & 63] : '=' };

		work_put(w, (struct span){ out, 4 });
	}
	return work_end(w, ret);
}

static bool text_decode64(
	struct work *w, const struct value *in, const char *letters, struct value *ret)
{
	struct span s;
	unsigned bits = 0, have = 0;
	size_t i;

	if (!value_to_text(w, in, &s))
		return false;
	while (s.n && s.p[s.n - 1] == '=')
		s.n--;
	work_begin(w);
	for (i = 0; i < s.n; i++) {
		const char *at = s.p[i] ? strchr(letters, s.p[i]) : NULL;

		if (at == NULL)
			return err_set(w->err, "its input is not base64");
		bits = (bits << 6 | (unsigned)(at - letters)) & 0xFFFFFF;
		have += 6;
		if (have >= 8) {
			have -= 8;
			work_put_char(w, (char)(bits >> have & 255));
		}
	}
	return text_end_decoded(w, ret);
}

bool filter_base64_encode(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return text_encode64(w, in, text_base64, ret);
}

bool filter_base64_url_safe_encode(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return text_encode64(w, in, text_base64_url, ret);
}

bool filter_base64_decode(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return text_decode64(w, in, text_base64, ret);
}

bool filter_base64_url_safe_decode(
	struct work *w, const struct value *in, const struct filter_args *args, struct value *ret)
{
	(void)args;
	return text_decode64(w, in, text_base64_url, ret);
}
