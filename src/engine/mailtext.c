/*
 * mailtext.c: HTML to plain text in one pass.
 *
 * A reader takes tags and characters one after the other; a writer gathers words, and knows before
 * each word how many line ends are owed.  One row per element that means something (mailtext_tags);
 * all others are only taken away.  A real HTML parser (libxml2, gumbo) would be a library for what
 * our own templates never need; what it does better, repair, does not matter for words.
 */
#include "engine/mailtext.h"

#include <string.h>

enum { LISTS_MOST = 8, NAME_MOST = 16, LINK_MOST = 2000 };

enum mailtext_act {
	ACT_NONE,
	ACT_PARAGRAPH, /* an empty line before and after */
	ACT_LINE,      /* a line of its own */
	ACT_BREAK,
	ACT_CELL,
	ACT_LIST,
	ACT_NUMBERED,
	ACT_ITEM,
	ACT_LINK,
	ACT_IMAGE,
	ACT_RULE,
	ACT_SKIP, /* with all that is in it */
};

static const struct mailtext_tag {
	const char *name;
	enum mailtext_act act;
} mailtext_tags[] = {
	{ "a", ACT_LINK },
	{ "address", ACT_LINE },
	{ "article", ACT_LINE },
	{ "blockquote", ACT_PARAGRAPH },
	{ "br", ACT_BREAK },
	{ "center", ACT_LINE },
	{ "div", ACT_LINE },
	{ "footer", ACT_LINE },
	{ "h1", ACT_PARAGRAPH },
	{ "h2", ACT_PARAGRAPH },
	{ "h3", ACT_PARAGRAPH },
	{ "h4", ACT_PARAGRAPH },
	{ "h5", ACT_PARAGRAPH },
	{ "h6", ACT_PARAGRAPH },
	{ "head", ACT_SKIP },
	{ "header", ACT_LINE },
	{ "hr", ACT_RULE },
	{ "img", ACT_IMAGE },
	{ "li", ACT_ITEM },
	{ "ol", ACT_NUMBERED },
	{ "p", ACT_PARAGRAPH },
	{ "pre", ACT_PARAGRAPH },
	{ "script", ACT_SKIP },
	{ "section", ACT_LINE },
	{ "style", ACT_SKIP },
	{ "table", ACT_PARAGRAPH },
	{ "td", ACT_CELL },
	{ "th", ACT_CELL },
	{ "title", ACT_SKIP },
	{ "tr", ACT_LINE },
	{ "ul", ACT_LIST },
};

/* ---- the writer ---- */

struct mailtext_list {
	bool is_numbered;
	unsigned number;
};

struct mailtext {
	struct buf *out;
	size_t begin;  /* what stood in out before */
	size_t column; /* characters in the line now */
	unsigned owed; /* line ends before the next word */
	bool is_blank_owed;
	struct buf word;  /* gathered so far */
	struct buf link;  /* where the link we are in goes */
	size_t link_from; /* where its text begins in out */
	bool is_in_link;
	unsigned depth; /* of lists */
	struct mailtext_list lists[LISTS_MOST];
	bool is_item; /* the next word gets the mark of a list item */
};

static size_t mailtext_width(struct span s)
{
	size_t n = 0, i;

	for (i = 0; i < s.n; i++)
		n += (s.p[i] & 0xC0) != 0x80;
	return n;
}

static void mailtext_put(struct mailtext *m, struct span s)
{
	buf_span(m->out, s);
	m->column += mailtext_width(s);
}

/* Begins a line under the text of the list item. */
static void mailtext_indent(struct mailtext *m, unsigned levels)
{
	for (; levels > 0; levels--)
		mailtext_put(m, SPAN("  "));
}

/* The mark of a list item: "- " or "3. ". */
static void mailtext_put_mark(struct mailtext *m)
{
	struct mailtext_list *list = m->depth ? &m->lists[(m->depth - 1) % LISTS_MOST] : NULL;
	char mark[16] = "- ";

	mailtext_indent(m, m->depth ? m->depth - 1 : 0);
	if (list && list->is_numbered) {
		struct buf b = { 0 };

		buf_int(&b, ++list->number);
		buf_str(&b, ". ");
		strncpy(mark, b.p, sizeof mark - 1);
		buf_free(&b);
	}
	mailtext_put(m, span_of(mark));
	m->is_item = false;
}

/* Writes the line ends that are owed, and what begins the new line. */
static void mailtext_put_lines(struct mailtext *m)
{
	if (m->out->n == m->begin)
		m->owed = 0;
	for (; m->owed > 0; m->owed--) {
		buf_char(m->out, '\n');
		m->column = 0;
	}
	m->is_blank_owed = false;
	if (m->is_item)
		mailtext_put_mark(m);
	else if (m->column == 0)
		mailtext_indent(m, m->depth);
}

/* Writes the word that was gathered, in this line or the next. */
static void mailtext_end_word(struct mailtext *m)
{
	struct span word = buf_as_span(&m->word);

	if (word.n == 0)
		return;
	if (m->owed || m->is_item || m->out->n == m->begin) {
		mailtext_put_lines(m);
	} else if (m->is_blank_owed) {
		if (m->column + 1 + mailtext_width(word) > MAILTEXT_WIDTH) {
			buf_char(m->out, '\n');
			m->column = 0;
			mailtext_indent(m, m->depth);
		} else {
			mailtext_put(m, SPAN(" "));
		}
	}
	m->is_blank_owed = false;
	mailtext_put(m, word);
	buf_clear(&m->word);
}

static void mailtext_put_blank(struct mailtext *m)
{
	mailtext_end_word(m);
	m->is_blank_owed = true;
}

/* The next word begins `lines` lines further down. */
static void mailtext_owe(struct mailtext *m, unsigned lines)
{
	mailtext_end_word(m);
	if (m->owed < lines)
		m->owed = lines;
}

static bool mailtext_is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Words of some text, as they come. */
static void mailtext_put_text(struct mailtext *m, struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (mailtext_is_blank(s.p[i]))
			mailtext_put_blank(m);
		else
			buf_char(&m->word, s.p[i]);
}

/* ---- entities ---- */

/* Adds a code point as UTF-8; what is none, or a control character, becomes U+FFFD. */
static void mailtext_put_code(struct buf *out, uint32_t c)
{
	if (c < 0x20 && c != '\t' && c != '\n')
		c = 0xFFFD;
	if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) || c == 0x7F)
		c = 0xFFFD;
	if (c < 0x80) {
		buf_char(out, (char)c);
	} else if (c < 0x800) {
		buf_char(out, (char)(0xC0 | c >> 6));
		buf_char(out, (char)(0x80 | (c & 63)));
	} else if (c < 0x10000) {
		buf_char(out, (char)(0xE0 | c >> 12));
		buf_char(out, (char)(0x80 | (c >> 6 & 63)));
		buf_char(out, (char)(0x80 | (c & 63)));
	} else {
		buf_char(out, (char)(0xF0 | c >> 18));
		buf_char(out, (char)(0x80 | (c >> 12 & 63)));
		buf_char(out, (char)(0x80 | (c >> 6 & 63)));
		buf_char(out, (char)(0x80 | (c & 63)));
	}
}

/* &#1234; and &#x4D2;: adds the character, false when it is neither. */
static bool mailtext_put_number(struct buf *out, struct span digits)
{
	bool is_hex = digits.n > 1 && (digits.p[0] | 32) == 'x';
	uint32_t v = 0;
	size_t i;

	for (i = is_hex; i < digits.n; i++) {
		char c = digits.p[i];

		if (c >= '0' && c <= '9')
			v = v * (is_hex ? 16 : 10) + (uint32_t)(c - '0');
		else if (is_hex && (c | 32) >= 'a' && (c | 32) <= 'f')
			v = v * 16 + (uint32_t)((c | 32) - 'a' + 10);
		else
			return false;
		if (v > 0x10FFFF)
			v = 0x110000;
	}
	if (digits.n <= (size_t)is_hex)
		return false;
	mailtext_put_code(out, v);
	return true;
}

/* Decodes the entity that begins at s.p[at]; returns its bytes, 0 when it is none. */
static size_t mailtext_entity(struct span s, size_t at, struct buf *out)
{
	static const struct {
		const char *name;
		uint32_t code;
	} rows[] = {
		{ "amp", '&' },
		{ "lt", '<' },
		{ "gt", '>' },
		{ "quot", '"' },
		{ "apos", '\'' },
		{ "nbsp", 0xA0 },
		{ "copy", 0xA9 },
		{ "reg", 0xAE },
		{ "trade", 0x2122 },
		{ "hellip", 0x2026 },
		{ "mdash", 0x2014 },
		{ "ndash", 0x2013 },
		{ "laquo", 0xAB },
		{ "raquo", 0xBB },
		{ "lsquo", 0x2018 },
		{ "rsquo", 0x2019 },
		{ "ldquo", 0x201C },
		{ "rdquo", 0x201D },
		{ "bdquo", 0x201E },
		{ "bull", 0x2022 },
		{ "middot", 0xB7 },
		{ "times", 0xD7 },
		{ "euro", 0x20AC },
		{ "pound", 0xA3 },
		{ "cent", 0xA2 },
		{ "yen", 0xA5 },
		{ "sect", 0xA7 },
		{ "deg", 0xB0 },
		{ "shy", 0xAD },
		{ "rarr", 0x2192 },
		{ "larr", 0x2190 },
	};
	struct span name = { s.p + at + 1, 0 };
	size_t i;

	while (at + 1 + name.n < s.n && name.n < NAME_MOST && name.p[name.n] != ';')
		name.n++;
	if (at + 1 + name.n >= s.n || name.p[name.n] != ';' || name.n == 0)
		return 0;
	if (name.p[0] == '#')
		return mailtext_put_number(out, (struct span){ name.p + 1, name.n - 1 })
			       ? name.n + 2
			       : 0;
	for (i = 0; i < sizeof rows / sizeof *rows; i++)
		if (span_is(name, rows[i].name)) {
			mailtext_put_code(out, rows[i].code);
			return name.n + 2;
		}
	return span_is(name, "zwnj") || span_is(name, "zwj") ? name.n + 2 : 0;
}

/* Adds text with its entities decoded. */
static void mailtext_decode(struct span s, struct buf *out)
{
	size_t i, n;

	for (i = 0; i < s.n; i += n) {
		n = s.p[i] == '&' ? mailtext_entity(s, i, out) : 0;
		if (n == 0) {
			buf_char(out, s.p[i]);
			n = 1;
		}
	}
}

/* ---- tags ---- */

struct mailtext_open {
	struct span name, inside; /* inside: the attributes */
	bool is_end;
	size_t bytes; /* with < and >; 0: this is no tag */
};

static bool mailtext_is_letter(char c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

/* Bytes of a comment or a declaration at `at`; to the end when it is not closed. */
static size_t mailtext_comment(struct span s, size_t at)
{
	bool is_comment = s.n - at >= 4 && memcmp(s.p + at, "<!--", 4) == 0;
	const char *close = is_comment ? "-->" : ">";
	size_t from = at + (is_comment ? 4 : 2);
	const char *end = memmem(s.p + from, s.n - from, close, strlen(close));

	return end ? (size_t)(end - s.p) + strlen(close) - at : s.n - at;
}

/* Reads the tag that begins at `at`; quotes may hide a ">". */
static void mailtext_read_tag(struct span s, size_t at, struct mailtext_open *ret)
{
	size_t i = at + 1;
	char quote = '\0';

	*ret = (struct mailtext_open){ 0 };
	if (i < s.n && (s.p[i] == '!' || s.p[i] == '?')) {
		ret->bytes = mailtext_comment(s, at);
		return;
	}
	if (i < s.n && s.p[i] == '/') {
		ret->is_end = true;
		i++;
	}
	ret->name.p = s.p + i;
	while (i < s.n && (mailtext_is_letter(s.p[i]) || (s.p[i] >= '0' && s.p[i] <= '9')))
		i++;
	ret->name.n = (size_t)(s.p + i - ret->name.p);
	if (ret->name.n == 0 || !mailtext_is_letter(ret->name.p[0]))
		return;
	ret->inside.p = s.p + i;
	for (; i < s.n && (quote || s.p[i] != '>'); i++)
		if (quote ? s.p[i] == quote : s.p[i] == '"' || s.p[i] == '\'')
			quote = quote ? '\0' : s.p[i];
	ret->inside.n = (size_t)(s.p + i - ret->inside.p);
	ret->bytes = i - at + (i < s.n);
}

/* The raw value of an attribute; no text when it is missing. */
static struct span mailtext_attribute(struct span inside, const char *name)
{
	const char *p = inside.p, *end = p + inside.n;
	size_t n = strlen(name);

	while (p < end) {
		struct span key, value = { NULL, 0 };

		while (p < end && (mailtext_is_blank(*p) || *p == '/'))
			p++;
		key.p = p;
		while (p < end && *p != '=' && !mailtext_is_blank(*p))
			p++;
		key.n = (size_t)(p - key.p);
		while (p < end && mailtext_is_blank(*p))
			p++;
		if (p < end && *p == '=') {
			char stop;

			for (p++; p < end && mailtext_is_blank(*p);)
				p++;
			stop = p < end && (*p == '"' || *p == '\'') ? *p++ : ' ';
			value.p = p;
			while (p < end && (stop == ' ' ? !mailtext_is_blank(*p) : *p != stop))
				p++;
			value.n = (size_t)(p - value.p);
			p += p < end;
		}
		if (key.n == n && strncasecmp(key.p, name, n) == 0)
			return value;
		if (key.n == 0 && value.p == NULL)
			p++;
	}
	return (struct span){ NULL, 0 };
}

/* Whether a style says display:none, whatever the blanks. */
static bool mailtext_is_hidden(struct span inside)
{
	static const char want[] = "display:none";
	struct span style = mailtext_attribute(inside, "style");
	size_t i, at = 0;

	for (i = 0; i < style.n && want[at]; i++) {
		if (mailtext_is_blank(style.p[i]))
			continue;
		if ((style.p[i] >= 'A' && style.p[i] <= 'Z' ? style.p[i] | 32 : style.p[i]) ==
			want[at])
			at++;
		else
			at = (style.p[i] | 32) == 'd';
	}
	return want[at] == '\0';
}

static enum mailtext_act mailtext_act_of(struct span name)
{
	size_t i;

	for (i = 0; i < sizeof mailtext_tags / sizeof *mailtext_tags; i++)
		if (strlen(mailtext_tags[i].name) == name.n &&
			strncasecmp(name.p, mailtext_tags[i].name, name.n) == 0)
			return mailtext_tags[i].act;
	return ACT_NONE;
}

/* Elements that have no inside. */
static bool mailtext_is_void(struct span name)
{
	static const char *const names[] = { "area", "base", "br", "col", "hr", "img", "input",
		"link", "meta", "source", "wbr" };
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++)
		if (strlen(names[i]) == name.n && strncasecmp(name.p, names[i], name.n) == 0)
			return true;
	return false;
}

/* Where the element of this name that was opened before `at` ends; the end when it does not. */
static size_t mailtext_skip(struct span s, size_t at, struct span name)
{
	/* What is in style and script is no HTML, so a "<" there opens nothing. */
	bool is_text = name.n > 3 && strchr("sStT", name.p[0]) != NULL;
	struct mailtext_open tag;
	unsigned depth = 1;

	while (at < s.n) {
		const char *open = memchr(s.p + at, '<', s.n - at);

		if (open == NULL)
			return s.n;
		at = (size_t)(open - s.p);
		if (is_text && (at + 1 >= s.n || s.p[at + 1] != '/')) {
			at++;
			continue;
		}
		mailtext_read_tag(s, at, &tag);
		at += tag.bytes ? tag.bytes : 1;
		if (tag.name.n != name.n || strncasecmp(tag.name.p, name.p, name.n) != 0)
			continue;
		depth += tag.is_end ? -1u : 1;
		if (depth == 0)
			return at;
	}
	return s.n;
}

/* ---- the acts ---- */

static void mailtext_open_link(struct mailtext *m, struct span inside)
{
	struct span href = span_trim(mailtext_attribute(inside, "href"));

	buf_clear(&m->link);
	m->is_in_link = href.n > 0 && href.p[0] != '#' && href.n <= LINK_MOST;
	if (!m->is_in_link)
		return;
	mailtext_decode(href, &m->link);
	if (m->word.n == 0 && m->owed)
		mailtext_put_lines(m);
	m->link_from = m->out->n;
}

/* Whether the text of a link says where it goes already. */
static bool mailtext_link_is_shown(const struct mailtext *m, struct span text)
{
	struct span link = buf_as_span(&m->link);

	if (span_starts(link, "mailto:"))
		link = (struct span){ link.p + 7, link.n - 7 };
	else if (span_starts(link, "tel:"))
		link = (struct span){ link.p + 4, link.n - 4 };
	return span_eq(span_trim(text), link);
}

static void mailtext_close_link(struct mailtext *m)
{
	struct span text;

	mailtext_end_word(m);
	if (!m->is_in_link)
		return;
	m->is_in_link = false;
	text = (struct span){ m->out->p + m->link_from, m->out->n - m->link_from };
	if (mailtext_link_is_shown(m, text))
		return;
	if (span_trim(text).n == 0) {
		mailtext_put_text(m, buf_as_span(&m->link));
		mailtext_end_word(m);
		return;
	}
	m->is_blank_owed = true;
	buf_char(&m->word, '(');
	buf_span(&m->word, buf_as_span(&m->link));
	buf_char(&m->word, ')');
	mailtext_end_word(m);
}

static void mailtext_list(struct mailtext *m, bool is_end, bool is_numbered)
{
	mailtext_owe(m, m->depth > (unsigned)is_end ? 1 : 2);
	if (is_end) {
		m->depth -= m->depth > 0;
		m->is_item = false;
		return;
	}
	m->lists[m->depth % LISTS_MOST] = (struct mailtext_list){ .is_numbered = is_numbered };
	m->depth += m->depth < LISTS_MOST;
}

static void mailtext_image(struct mailtext *m, struct span inside)
{
	struct buf alt = { 0 };

	mailtext_decode(mailtext_attribute(inside, "alt"), &alt);
	mailtext_put_text(m, buf_as_span(&alt));
	buf_free(&alt);
}

/* Does what one tag asks for. */
static void mailtext_do(struct mailtext *m, const struct mailtext_open *tag, enum mailtext_act act)
{
	switch (act) {
	case ACT_NONE:
	case ACT_SKIP: break;
	case ACT_PARAGRAPH: mailtext_owe(m, 2); break;
	case ACT_LINE: mailtext_owe(m, 1); break;
	case ACT_BREAK:
		mailtext_end_word(m);
		m->owed += m->owed < 2;
		break;
	case ACT_CELL: mailtext_put_blank(m); break;
	case ACT_LIST:
	case ACT_NUMBERED: mailtext_list(m, tag->is_end, act == ACT_NUMBERED); break;
	case ACT_ITEM:
		mailtext_owe(m, 1);
		m->is_item = !tag->is_end;
		break;
	case ACT_LINK:
		if (tag->is_end)
			mailtext_close_link(m);
		else
			mailtext_open_link(m, tag->inside);
		break;
	case ACT_IMAGE: mailtext_image(m, tag->inside); break;
	case ACT_RULE:
		mailtext_owe(m, 2);
		mailtext_put_text(m, SPAN("----"));
		mailtext_owe(m, 2);
		break;
	}
}

/* One entity or one byte of text. */
static size_t mailtext_take_text(struct mailtext *m, struct span s, size_t at)
{
	size_t n;

	if (s.p[at] == '&') {
		n = mailtext_entity(s, at, &m->word);
		if (n)
			return n;
	}
	mailtext_put_text(m, (struct span){ s.p + at, 1 });
	return 1;
}

void mailtext_derive(struct span html, struct buf *out)
{
	struct mailtext m = { .out = out, .begin = out->n };
	struct mailtext_open tag;
	size_t at = 0;

	while (at < html.n) {
		enum mailtext_act act;

		if (html.p[at] != '<') {
			at += mailtext_take_text(&m, html, at);
			continue;
		}
		mailtext_read_tag(html, at, &tag);
		if (tag.bytes == 0) {
			at += mailtext_take_text(&m, html, at);
			continue;
		}
		at += tag.bytes;
		act = tag.name.n ? mailtext_act_of(tag.name) : ACT_NONE;
		if (!tag.is_end && tag.name.n && !mailtext_is_void(tag.name) &&
			(act == ACT_SKIP || mailtext_is_hidden(tag.inside)))
			at = mailtext_skip(html, at, tag.name);
		else
			mailtext_do(&m, &tag, act);
	}
	mailtext_end_word(&m);
	if (out->n > m.begin)
		buf_char(out, '\n');
	buf_free(&m.word);
	buf_free(&m.link);
}

bool mailtext_title(struct span html, struct buf *out)
{
	struct mailtext_open tag;
	struct buf text = { 0 };
	struct span rest, inside;
	size_t at = 0, i, begin = out->n;

	for (; at < html.n; at += tag.bytes ? tag.bytes : 1) {
		const char *open = memchr(html.p + at, '<', html.n - at);

		if (open == NULL)
			return false;
		at = (size_t)(open - html.p);
		mailtext_read_tag(html, at, &tag);
		if (!tag.is_end && tag.name.n == 5 && strncasecmp(tag.name.p, "title", 5) == 0)
			break;
	}
	if (at >= html.n)
		return false;
	at += tag.bytes;
	rest = (struct span){ html.p + at, html.n - at };
	inside = rest;
	for (i = 0; i + 7 <= rest.n; i++)
		if (strncasecmp(rest.p + i, "</title", 7) == 0) {
			inside.n = i;
			break;
		}
	mailtext_decode(inside, &text);
	for (i = 0; i < text.n; i++) {
		if (!mailtext_is_blank(text.p[i]))
			buf_char(out, text.p[i]);
		else if (out->n > begin && out->p[out->n - 1] != ' ')
			buf_char(out, ' ');
	}
	if (out->n > begin && out->p[out->n - 1] == ' ')
		out->p[--out->n] = '\0';
	buf_free(&text);
	return out->n > begin;
}
