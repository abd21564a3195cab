/* customer.c: the names of a card's fields, in the order of their enums. */
#include "model/customer.h"

const char *const card_text_names[CARD_TEXTS] = {
	[CARD_EMAIL] = "email",
	[CARD_PHONE] = "phone",
	[CARD_NAME] = "name",
	[CARD_FIRST_NAME] = "first_name",
	[CARD_LAST_NAME] = "last_name",
	[CARD_LANG] = "lang",
	[CARD_TZ] = "tz",
	[CARD_CITY] = "city",
	[CARD_BIRTHDAY] = "birthday",
	[CARD_GENDER] = "gender",
	[CARD_MANAGER] = "manager",
	[CARD_FIRST_SOURCE] = "first_source",
};

const char *const card_json_names[CARD_JSONS] = {
	[CARD_TAGS] = "tags",
	[CARD_ATTRIBUTES] = "attributes",
	[CARD_CONSENT] = "consent",
	[CARD_SUPPRESSED] = "suppressed",
	[CARD_CART] = "cart",
	[CARD_SPEND] = "spend",
};
