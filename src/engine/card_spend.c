/*
 * card_spend.c: money by day, and the values that are read from it.
 *
 * CARD_SPEND is a list of [day, amount], sorted by day, of days with money only.  It is booked on
 * the day on which an order was placed, whatever happens to the order later, so a refund lessens
 * the month that it belongs to.  Sums kept per month would be shorter but wrong at both ends of
 * "the last six months".
 */
#include "engine/card_part.h"

#include "base/clock.h"
#include "base/json.h"

#include <math.h>

enum { SPEND_DAYS = 731 };
static const double MONEY_MOST = 999999999999999; /* sums stay numbers that JSON may have here */

/* One entry of the list. */
struct spent {
	int64_t day;
	double amount;
};

double card_money(double x)
{
	if (fabs(x) < 1e11)
		return round(x * 1e4) / 1e4;
	return x > MONEY_MOST ? MONEY_MOST : x < -MONEY_MOST ? -MONEY_MOST : x;
}

int64_t card_day(int64_t at_us)
{
	int64_t day = at_us / CLOCK_DAY_US;

	return at_us % CLOCK_DAY_US < 0 ? day - 1 : day;
}

/* The next entry that can be read; false at the end. */
static bool spent_next(struct json_iter *it, struct spent *ret)
{
	struct span entry, part;
	struct json_iter pair;

	while (json_next(it, NULL, &entry)) {
		json_iter_init(&pair, entry);
		if (json_next(&pair, NULL, &part) && json_integer(part, &ret->day) &&
			json_next(&pair, NULL, &part) && json_number(part, &ret->amount))
			return true;
	}
	return false;
}

/* Appends an entry, unless it is nothing or too old to be asked for. */
static void spent_put(struct buf *out, struct spent s, int64_t oldest)
{
	double amount = card_money(s.amount);

	if (amount == 0 || s.day < oldest)
		return;
	if (out->n > 1)
		buf_char(out, ',');
	buf_char(out, '[');
	buf_int(out, s.day);
	buf_char(out, ',');
	json_put_number(out, amount);
	buf_char(out, ']');
}

void card_spend_add(struct card_work *w, int64_t day, double amount)
{
	struct span *spend = &w->v->card->json[CARD_SPEND];
	int64_t oldest = card_day(w->b->now_us) - SPEND_DAYS;
	struct spent booking = { day, amount }, s;
	UNSET char first[BUF_USUAL];
	struct buf out = BUF_ON(first);
	struct json_iter it;
	bool booked = false;

	buf_char(&out, '[');
	json_iter_init(&it, spend->n ? *spend : SPAN("[]"));
	while (spent_next(&it, &s)) {
		if (s.day == day)
			s.amount += amount;
		else if (s.day > day && !booked)
			spent_put(&out, booking, oldest);
		booked |= s.day >= day;
		spent_put(&out, s, oldest);
	}
	if (!booked)
		spent_put(&out, booking, oldest);
	buf_char(&out, ']');
	*spend = card_take_text(&w->b->arena, &out);
	w->v->card->changed |= CARD_CHANGED_ACTIVITY;
}

void card_spend_join(struct batch *b, struct visit *v, struct span other)
{
	struct span *spend = &v->card->json[CARD_SPEND];
	int64_t oldest = card_day(b->now_us) - SPEND_DAYS;
	struct json_iter a, c;
	struct spent x = { 0 }, y = { 0 };
	struct buf out = { 0 };

	json_iter_init(&a, spend->n ? *spend : SPAN("[]"));
	json_iter_init(&c, other.n ? other : SPAN("[]"));
	bool has_x = spent_next(&a, &x), has_y = spent_next(&c, &y);

	buf_char(&out, '[');
	while (has_x || has_y) {
		int64_t day = !has_y || (has_x && x.day < y.day) ? x.day : y.day;
		struct spent sum = { day, 0 };

		if (has_x && x.day == day) {
			sum.amount += x.amount;
			has_x = spent_next(&a, &x);
		}
		if (has_y && y.day == day) {
			sum.amount += y.amount;
			has_y = spent_next(&c, &y);
		}
		spent_put(&out, sum, oldest);
	}
	buf_char(&out, ']');
	*spend = card_take_text(&b->arena, &out);
	v->card->changed |= CARD_CHANGED_ACTIVITY;
}

/* The UTC day so many calendar months before a day; the last of the month where it has no such
 * day. */
static int64_t months_before(int64_t day, int months)
{
	struct clock_date d = clock_date_of_days(day);
	int64_t month = d.year * 12 + d.month - 1 - months, year = month / 12;
	int of_year = (int)(month % 12) + 1, most = clock_month_days(year, of_year);

	return clock_days_of_date(year, of_year, d.day < most ? d.day : most);
}

void card_value(const struct customer *c, int64_t now_us, double ret[CARD_SPANS])
{
	static const int months[] = { [CARD_M6] = 6, [CARD_M12] = 12, [CARD_M24] = 24 };
	int64_t today = card_day(now_us), from[CARD_LIFE];
	struct json_iter it;
	struct spent s;

	for (int i = 0; i < CARD_LIFE; i++) {
		ret[i] = 0;
		from[i] = months_before(today, months[i]);
	}
	ret[CARD_LIFE] = c->orders_total;
	json_iter_init(&it, c->json[CARD_SPEND].n ? c->json[CARD_SPEND] : SPAN("[]"));
	while (spent_next(&it, &s))
		for (int i = 0; i < CARD_LIFE; i++)
			if (s.day >= from[i])
				ret[i] += s.amount;
	for (int i = 0; i < CARD_LIFE; i++)
		ret[i] = card_money(ret[i]);
}

double card_orders_average(const struct customer *c)
{
	return c->orders_count > 0 ? card_money(c->orders_total / (double)c->orders_count) : 0;
}
