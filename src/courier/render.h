#ifndef COURIER_RENDER_H
#define COURIER_RENDER_H
/*
 * A claimed message with its template -> what the customer reads: subject, HTML, plain text.
 *
 * Templates are pinned by hash and never change, so parsed ones are kept; the text comes from the
 * database by the caller's function.  Rendered in the message's language, the customer's zone (else
 * the store's) and the store's currency, over customer, event, store, with and unsubscribe_url
 * (doc: Templates in nudged-rules(7)).
 */
#include "base/mem.h"
#include "courier/claim.h"

struct render;

struct render_options {
	const char *public_url; /* "": no links */
	const char *sign_key;   /* "": no links */
};

/* What a message became; texts live in its own arena until render_free or the next render. */
struct rendered {
	struct span subject;
	struct span html, text;  /* html may be empty */
	struct span unsubscribe; /* the link; empty: none */
};

struct render *render_new(void);
void render_free(struct render *r); /* NULL is allowed */
/* body: the template_text row of m->template_hash, {NULL,0} when the caller must fetch it first:
 * render_knows tells.  False: err says what is wrong with template or data. */
bool render_knows(const struct render *r, struct span template_hash);
bool render_template(
	struct render *r, struct span template_hash, struct span body, struct err *err) MUST_CHECK;
bool render_message(struct render *r, const struct claim *m, const struct render_options *o,
	struct arena *a, struct rendered *ret, struct err *err) MUST_CHECK;
/* The card as templates see it, with the names of the vocabulary: `customer`. */
void render_card(const struct customer *card, int64_t now_us, struct buf *out);

#endif
