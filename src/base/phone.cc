/*
 * phone.cc: the wall around libphonenumber.
 *
 * Valid numbers only (length and known prefixes): a number that is merely possible is mostly a typing
 * error, and a text message to it goes to a stranger or nowhere.  The library would write to stdout when
 * it dislikes something, hence the silent logger.  Its parser takes time that grows with the text, so
 * long input is refused first (it refuses more than 250 characters itself, but only after copying).
 */
#include "base/phone.h"

#include <cstring>
#include <exception>
#include <phonenumbers/logger.h>
#include <phonenumbers/phonenumber.pb.h>
#include <phonenumbers/phonenumberutil.h>
#include <string>

using i18n::phonenumbers::NullLogger;
using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

enum { PHONE_RAW_MOST = 64 };

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

bool phone_e164(struct span raw, const char *region2, char ret[PHONE_SIZE])
{
	if (raw.n < 3 || raw.n > PHONE_RAW_MOST || memchr(raw.p, '\0', raw.n) != nullptr)
		return false;
	try {
		PhoneNumberUtil *util = phone_util();
		PhoneNumber number;
		std::string text;

		if (util->Parse(std::string(raw.p, raw.n), phone_region(region2), &number) !=
				PhoneNumberUtil::NO_PARSING_ERROR ||
			!util->IsValidNumber(number))
			return false;
		util->Format(number, PhoneNumberUtil::E164, &text);
		if (text.size() >= PHONE_SIZE || text.empty() || text[0] != '+')
			return false;
		memcpy(ret, text.c_str(), text.size() + 1);
		return true;
	} catch (const std::exception &) {
		return false;
	}
}
