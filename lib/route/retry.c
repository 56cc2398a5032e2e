/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_retry.h"

#include "mt_base.h"

#include <stdio.h>

static const struct {
	enum mt_retry_on on;
	const char *word;
} words[] = {
	{MT_RETRY_UNSENT, "connect-failure"},
	{MT_RETRY_UNREAD, "refused-stream"},
	{MT_RETRY_LOST, "reset"},
	{MT_RETRY_UNAVAILABLE, "unavailable"},
	{MT_RETRY_OVERLOAD, "resource-exhausted"},
	{MT_RETRY_DEADLINE, "deadline-exceeded"},
	{MT_RETRY_SERVER_ERROR, "internal"},
};

const char *mt_retry_text(uint32_t on, const char *between, char text[MT_RETRY_TEXT])
{
	int n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < MT_ARRAY_LEN(words) && n < MT_RETRY_TEXT; i++)
		if (on & words[i].on)
			n += snprintf(text + n, (size_t)(MT_RETRY_TEXT - n), "%s%s",
				n ? between : "", words[i].word);
	return text;
}
