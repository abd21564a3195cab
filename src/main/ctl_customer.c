/*
 * ctl_customer.c: finding a customer by asking intake/admit what the key of an event with this subject would be:
 * so what is typed here is understood exactly as what a store sends.
 */
#include "main/ctl_customer.h"

#include "base/now.h"
#include "intake/admit.h"
#include "main/ctl_db.h"
#include "main/settings.h"
#include "model/shop.h"
#include "store/pg_int.h"

#include <string.h>

const struct shop *ctl_customer_shop(const struct settings *s, const char *name, struct err *err)
{
	const struct shop *shop;

	if (name == NULL && s->nshops == 1)
		return &s->shops[0];
	if (name == NULL) {
		err_set(err, "there are %zu stores", s->nshops);
		err_hint(err, "say which one it is about: --store NAME");
		return NULL;
	}
	if ((shop = settings_shop(s, span_of(name))) == NULL) {
		err_set(err, "there is no store \"%s\"", name);
		err_hint(err, "stores are the sections [store NAME] of %s", s->path);
	}
	return shop;
}

/* The keys that the text stands for; our own number beside them. */
static void ctl_customer_keys(struct bind *bind, const struct shop *shop, const char *key)
{
	const struct admit_envelope env = {
		.shop = shop, .type = SPAN("nudgectl"), .id = SPAN("1"), .subject = span_of(key)
	};
	struct arena a = { 0 };
	struct shop_event e;
	int64_t number = 0;

	if (admit_event(&e, &env, ADMIT_INTERNAL, clock_now_us(), &a))
		for (unsigned i = 0; i < e.n_identity; i++) {
			if (e.identity[i].kind == IDENTITY_HIDDEN)
				continue;
			bind_key(bind, 0, e.identity[i].value);
			bind_int(bind, 1, (int)e.identity[i].kind);
		}
	bind_text(bind, 2, span_of(shop->base));
	if (!span_to_i64(span_of(key), &number) || number < 0)
		number = 0;
	bind_i64(bind, 3, number);
	arena_fini(&a);
}

bool ctl_customer_find(
	struct block *b, const struct shop *shop, const char *key, int64_t *ret, struct err *err)
{
	struct bind bind = { .n = 0 };
	struct db_rows *rows = NULL;
	bool ok;

	bind_begin(&bind, SQL_CARD_FIND);
	ctl_customer_keys(&bind, shop, key);
	ok = block_exec(b, &bind, &rows, err);
	bind_fini(&bind);
	if (!ok)
		return false;
	*ret = db_rows_count(rows) > 0 ? db_rows_i64(rows, 0, 0) : 0;
	block_rows_free(rows);
	if (*ret != 0)
		return true;
	err_set(err, "there is no customer \"%s\"", key);
	return err_hint(err, "name him by e-mail address, phone number with +, the store's id for "
			     "him, or our number");
}

bool ctl_customer_card(
	struct block *b, int64_t customer, struct arena *a, struct customer *ret, struct err *err)
{
	const struct bind_reader reader = { .arena = a };
	struct db_rows *rows = NULL;
	bool ok;

	if (!ctl_db_number(b, SQL_CARD_READ, customer, &rows, err))
		return false;
	memset(ret, 0, sizeof *ret);
	ok = db_rows_count(rows) > 0 ||
	     err_set(err, "there is no customer %lld", (long long)customer);
	if (ok)
		bind_read(&reader, rows, 0, 0, pg_customer_cols, pg_n_customer_cols, ret);
	block_rows_free(rows);
	return ok;
}
