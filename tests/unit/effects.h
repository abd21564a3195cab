#ifndef TESTS_UNIT_EFFECTS_H
#define TESTS_UNIT_EFFECTS_H
/*
 * All effects of a judged batch as text, one line each, in the order of the lists: two batches that had the same
 * effects give the same bytes.  What was left alone is not printed.
 */
#include "model/batch.h"

void effects_print(const struct batch *b, struct buf *out);
/* One row each, with a line feed; for tests that gather rows over many batches. */
void effects_event(const struct shop_event *e, struct buf *out);
void effects_chain(const struct chain *c, struct buf *out);
void effects_message(const struct message *m, struct buf *out);
void effects_task(const struct task *t, struct buf *out);
void effects_card(const struct customer *c, struct buf *out);

#endif
