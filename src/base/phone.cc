/*
 * phone.cc: the wall around libphonenumber.
 *
 * Valid numbers only (length and known prefixes): a number that is merely possible is mostly a
 * typing error, and a text message to it goes to a stranger or nowhere.  The library would write
 * to stdout when it dislikes something, hence the silent logger.  Its parser takes time that
 * grows with the text, so long input is refused first (it refuses more than 250 characters
 * itself, but only after copying).
 *
 * Reading one number costs 13-22 us, more than all the rest of an event, and a visitor's events
 * come in a row: the last answers are remembered, one per slot, 180 kB in all.  The answer is a
 * pure function of the question, so nothing can be out of date.
 */
#include "base/phone.h"

#include <cstring>
#include <exception>
#include <phonenumbers/logger.h>
#include <phonenumbers/phonenumber.pb.h>
#include <phonenumbers/phonenumberutil.h>
#include <string>
#include <string_view>

using i18n::phonenumbers::NullLogger;
using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

enum { PHONE_RAW_MOST = 64, PHONE_MEMOS = 2048 };

/* A question and its answer. */
struct phone_memo {
	char question[PHONE_RAW_MOST + 2]; /* region, then what was written */
	unsigned char n;                   /* bytes of it; 0: the slot is free */
	char e164[PHONE_SIZE];             /* empty: no number */
};

/* The library's one object, made silent on first use. */
static PhoneNumberUtil *phone_util()
{
	static PhoneNumberUtil *util;

	if (util == nullptr) {
		util = PhoneNumberUtil::GetInstance();
		util->SetLogger(new NullLogger);
	}
	return util;
}

/* The name the library knows a region by; "ZZ" is its word for none. */
static std::string phone_region(const char *region2)
{
	std::string region;

	if (region2 == nullptr || strlen(region2) != 2)
		return "ZZ";
	for (int i = 0; i < 2; i++)
		region += static_cast<char>(region2[i] >= 'a' && region2[i] <= 'z'
						    ? region2[i] - 'a' + 'A'
						    : region2[i]);
	return region;
}

/* Asks the library; an empty answer is a refusal. */
static std::string phone_ask(const std::string &raw, const std::string &region)
{
	PhoneNumberUtil *util = phone_util();
	PhoneNumber number;
	std::string text;

	if (util->Parse(raw, region, &number) != PhoneNumberUtil::NO_PARSING_ERROR ||
		!util->IsValidNumber(number))
		return "";
	util->Format(number, PhoneNumberUtil::E164, &text);
	return text.size() < PHONE_SIZE && text[0] == '+' ? text : "";
}

/* Finds the answer among the last ones, or asks for it. */
static const char *phone_answer(const std::string &raw, const std::string &region)
{
	static struct phone_memo memos[PHONE_MEMOS];
	std::string question = region + raw;
	struct phone_memo *m = &memos[std::hash<std::string_view>{}(question) % PHONE_MEMOS];

	if (m->n == question.size() && memcmp(m->question, question.data(), m->n) == 0)
		return m->e164;
	std::string e164 = phone_ask(raw, region);
	m->n = static_cast<unsigned char>(question.size());
	memcpy(m->question, question.data(), question.size());
	memcpy(m->e164, e164.c_str(), e164.size() + 1);
	return m->e164;
}

bool phone_e164(struct span raw, const char *region2, char ret[PHONE_SIZE])
{
	if (raw.n < 3 || raw.n > PHONE_RAW_MOST || memchr(raw.p, '\0', raw.n) != nullptr)
		return false;
	try {
		const char *e164 = phone_answer(std::string(raw.p, raw.n), phone_region(region2));

		if (*e164 == '\0')
			return false;
		memcpy(ret, e164, strlen(e164) + 1);
		return true;
	} catch (const std::exception &) {
		return false;
	}
}
