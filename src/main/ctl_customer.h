#ifndef MAIN_CTL_CUSTOMER_H
#define MAIN_CTL_CUSTOMER_H
/*
 * A customer as a person at the keyboard names him: e-mail address, phone number (+...), the store's own id,
 * or our number; read the way the keys of events are.
 */
#include "base/mem.h"
#include "db/block.h"
#include "model/customer.h"

struct settings;
struct shop;

/* The store named, or the only one; NULL: the error says which there are. */
const struct shop *ctl_customer_shop(
	const struct settings *s, const char *name, struct err *err) MUST_CHECK;
/* His number. */
bool ctl_customer_find(struct block *b, const struct shop *shop, const char *key, int64_t *ret,
	struct err *err) MUST_CHECK;
/* His card, in memory of a. */
bool ctl_customer_card(struct block *b, int64_t customer, struct arena *a, struct customer *ret,
	struct err *err) MUST_CHECK;

#endif
