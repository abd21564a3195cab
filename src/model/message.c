/* message.c: the words of channels, classes and states; the same in SQL, Lua and the API. */
#include "model/message.h"

static const char *const message_channel_words[] = { "email", "publish" };
static const char *const message_class_words[] = { "transactional", "marketing", "bulk" };
static const char *const message_state_words[] = { "ready", "sending", "sent", "failed", "in_doubt",
	"withdrawn", "expired", "capped", "refused" };

/* Index of the word in the list, or -1. */
static int message_word(const char *const *words, size_t n, struct span word)
{
	for (size_t i = 0; i < n; i++)
		if (span_is(word, words[i]))
			return (int)i;
	return -1;
}

#define MESSAGE_WORDS(list) (list), sizeof(list) / sizeof *(list)

const char *message_channel_name(enum message_channel c)
{
	return message_channel_words[c];
}

bool message_channel_parse(struct span word, enum message_channel *ret)
{
	int i = message_word(MESSAGE_WORDS(message_channel_words), word);

	if (i >= 0)
		*ret = (enum message_channel)i;
	return i >= 0;
}

const char *message_class_name(enum message_class c)
{
	return message_class_words[c];
}

bool message_class_parse(struct span word, enum message_class *ret)
{
	int i = message_word(MESSAGE_WORDS(message_class_words), word);

	if (i >= 0)
		*ret = (enum message_class)i;
	return i >= 0;
}

const char *message_state_name(enum message_state s)
{
	return message_state_words[s];
}

bool message_state_parse(struct span word, enum message_state *ret)
{
	int i = message_word(MESSAGE_WORDS(message_state_words), word);

	if (i >= 0)
		*ret = (enum message_state)i;
	return i >= 0;
}
