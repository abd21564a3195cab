#ifndef ENGINE_LIQUID_H
#define ENGINE_LIQUID_H
/*
 * Liquid, the template language of our mails and text messages (https://shopify.github.io/liquid/).
 *
 * liquid_parse makes a tree in the caller's arena; the tree points into the arena only (the text is
 * copied) and lives as long as the arena.  It is never written to afterwards: render it as often as
 * you like.  liquid_render writes a tree with the data of one message into a buf.  The data are
 * spans of CHECKED JSON text (base/json), lent for the call; they are walked lazily, no tree is made
 * of them.  What stands in the data is never parsed as a template (PROMISES P22), and in HTML mode
 * everything that is put out is escaped except what went through `| raw`.
 *
 * Nothing here knows a clock, a file or a network: the time and all texts come in by the env.
 *
 * Errors name template and line, what is wrong and what to write:
 * `cart.en.html:12: unknown filter "monney"; did you mean "money"?`
 *
 * Beyond the language: filters `money`, `date` (in the customer's language and zone) and `raw`;
 * mistakes are errors, never silently empty text.  Not there yet: `render`, `include`, `t`, `link`.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdint.h>

struct format;
struct liquid; /* a parsed template */
struct tz;

enum liquid_escape {
	LIQUID_PLAIN, /* text parts, text messages, subjects */
	LIQUID_HTML,  /* escape what is put out */
};
const char *liquid_escape_name(enum liquid_escape e);

/* A name at the top with structured data: customer, event, store, with. */
struct liquid_root {
	const char *name;
	struct span json; /* one checked JSON value */
};

/* A name at the top with plain text: unsubscribe_url. */
struct liquid_text {
	const char *name;
	struct span text;
};

struct liquid_env {
	const struct liquid_root *roots;
	size_t n_roots;
	const struct liquid_text *texts;
	size_t n_texts;
	enum liquid_escape escape;
	const char *language;  /* BCP 47, "en", "ru", "de-AT"; NULL is "en" */
	const char *currency;  /* ISO 4217; NULL: `money` needs an argument */
	const struct tz *zone; /* where the customer lives; NULL is UTC */
	int64_t now_us;        /* what "now" is */
	struct format *format; /* formatters kept over renders (engine/format.h); NULL: made anew */
	size_t max_output;     /* bytes; 0 = 1 MiB */
	uint32_t max_loops;    /* rounds of all loops together; 0 = 100,000 */
};

/* Parses a template; name is for errors.  NULL on error. */
struct liquid *liquid_parse(
	struct span text, const char *name, struct arena *a, struct err *err) MUST_CHECK;
/* Adds the rendered text to out.  On failure out has what it had before. */
bool liquid_render(const struct liquid *l, const struct liquid_env *env, struct buf *out,
	struct err *err) MUST_CHECK;

/* One use of a variable in a template. */
struct liquid_use {
	struct span root; /* "customer" */
	struct span path; /* as it is written: "customer.orders[0].total" */
	int line;
	bool is_local; /* the template itself gives the name a value: assign, capture, for */
};
typedef void liquid_use_fn(void *arg, const struct liquid_use *use);

/* Calls for each variable in the template, in the order of the text. */
void liquid_roots(const struct liquid *l, liquid_use_fn *fn, void *arg);
/* Whether the template uses this name and does not make it itself: "unsubscribe_url". */
bool liquid_has_root(const struct liquid *l, const char *root);
/* Fails for the first root that is neither known (NULL-ended list) nor made by the template. */
bool liquid_check_roots(
	const struct liquid *l, const char *const *known, struct err *err) MUST_CHECK;

#endif
