#ifndef BASE_PHONE_H
#define BASE_PHONE_H
/*
 * Phone numbers as people write them -> E.164.  The only room that uses libphonenumber (C++); no
 * C++ and no exception gets out of it.  Nothing to open or close; the first call loads the tables
 * (some ms).
 */
#include "base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PHONE_SIZE = 20 };

/* "8 (999) 123-45-67" and region "RU" -> "+79991234567".  The region (ISO 3166, two letters in
 * either case) is used when the number does not begin with a country; NULL when there is none.
 * False, and ret untouched, when it is not a number that can be called there.  Extensions are
 * dropped. */
bool phone_e164(struct span raw, const char *region2, char ret[PHONE_SIZE]) MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
