/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the modes of forwarding at layer 4. */
#include "mt_model_forwarding.h"

#include <string.h>

static const char *const modes[] = {
	[MT_FORWARDING_NONE] = "none",
	[MT_FORWARDING_NAT] = "nat",
	[MT_FORWARDING_NAT_FULL] = "nat-full",
	[MT_FORWARDING_DSR] = "dsr",
	[MT_FORWARDING_TUNNEL_IPIP] = "tunnel-ipip",
	[MT_FORWARDING_TUNNEL_GUE] = "tunnel-gue",
};

const char *const mt_health_check_words[] = {[MT_HEALTH_CHECK_NONE] = "none",
	[MT_HEALTH_CHECK_TCP] = "tcp",
	[MT_HEALTH_CHECK_ICMP] = "icmp",
	[MT_HEALTH_CHECK_ICMP + 1] = NULL};

enum mt_forwarding mt_forwarding_find(const char *word, size_t len)
{
	for (size_t i = MT_FORWARDING_NAT; i < MT_ARRAY_LEN(modes); i++)
		if (strlen(modes[i]) == len && strncmp(modes[i], word, len) == 0)
			return (enum mt_forwarding)i;
	return MT_FORWARDING_NONE;
}

const char *mt_forwarding_str(enum mt_forwarding mode)
{
	return modes[mode];
}
