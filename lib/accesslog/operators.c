/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_alog_format_priv.h"

#define NOTHING	     MT_ALOG_NOTHING
#define TIME	     MT_ALOG_TIME
#define NAMED	     MT_ALOG_NAMED
#define TEXT	     MT_ALOG_TEXT_OF
#define NUMBER	     MT_ALOG_NUMBER_OF
#define SPAN	     MT_ALOG_SPAN
#define ADDRESS	     MT_ALOG_ADDRESS
#define HOST	     MT_ALOG_HOST
#define PORT	     MT_ALOG_PORT
#define CODE	     MT_ALOG_CODE
#define DETAILS	     MT_ALOG_DETAILS
#define TERMINATION  MT_ALOG_TERMINATION
#define FIRST_OF     MT_ALOG_FIRST_OF
#define FLAGS	     MT_ALOG_FLAGS
#define TYPE	     MT_ALOG_TYPE
#define CONSTANT     MT_ALOG_CONSTANT
#define REQUEST_PATH MT_ALOG_PATH_OF

#define TIME_LOCAL MT_ALOG_TIME_LOCAL
#define TIME_EMIT  MT_ALOG_TIME_EMIT
#define SPAN_OF	   MT_ALOG_SPAN_OF

#define NONE		MT_ALOG_NO_ARGUMENTS
#define ANY		MT_ALOG_ANY_ARGUMENTS
#define FOR_TIME	MT_ALOG_FOR_TIME
#define FOR_NAMES	MT_ALOG_FOR_NAMES
#define FOR_PATH	MT_ALOG_FOR_PATH
#define FOR_PEER	MT_ALOG_FOR_PEER
#define FOR_POINTS	MT_ALOG_FOR_POINTS
#define FOR_MASK	MT_ALOG_FOR_MASK
#define FOR_HOSTNAME	MT_ALOG_FOR_HOSTNAME
#define FOR_ENVIRONMENT MT_ALOG_FOR_ENVIRONMENT
#define FOR_CHOICES	MT_ALOG_FOR_CHOICES

static const struct mt_alog_operator operators[] = {
#define MT_ALOG_OPERATOR(name, source, index, arguments) {#name, source, index, arguments},
#include "operators.def"
#undef MT_ALOG_OPERATOR
};

const struct mt_alog_operator *mt_alog_operator_find(const char *name, size_t len)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(operators); i++)
		if (strlen(operators[i].name) == len && memcmp(operators[i].name, name, len) == 0)
			return &operators[i];
	return NULL;
}
