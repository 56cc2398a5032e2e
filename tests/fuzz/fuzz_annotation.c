/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of a guest's annotations: limits, and an Ethernet address. Limits that were read are
 * written again and must have the same values. A reason names a column of the text, and fits.
 */
#include "fuzz.h"

#include "mt_model_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same(const struct mt_num *a, const struct mt_num *b)
{
	return a->set == b->set && a->v == b->v;
}

static void check_limits(const struct mt_guest_limits *l)
{
	const struct {
		const char *name, *unit;
		const struct mt_num *n;
		uint32_t min;
	} all[] = {
		{"calls", "/s", &l->calls, 1},
		{"connections", "", &l->connections, 1},
		{"newConnections", "/s", &l->new_connections, 1},
		{"bytes", "/s", &l->bytes, MT_GUEST_BYTES_MIN},
		{"packets", "/s", &l->packets, 1},
	};
	struct mt_guest_limits again;
	char text[256] = "", why[256];
	size_t at = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++) {
		if (!all[i].n->set)
			continue;
		MT_ASSERT(all[i].n->v >= all[i].min && all[i].n->line == 7);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s=%u%s", at ? ", " : "",
			all[i].name, all[i].n->v, all[i].unit);
	}
	MT_ASSERT(at > 0 && at < sizeof(text));
	MT_ASSERT(!mt_guest_limits_parse(text, 7, &again, why, sizeof(why)));
	MT_ASSERT(same(&l->calls, &again.calls) && same(&l->connections, &again.connections));
	MT_ASSERT(same(&l->new_connections, &again.new_connections));
	MT_ASSERT(same(&l->bytes, &again.bytes) && same(&l->packets, &again.packets));
}

static void check_reason(const char *text, const char *why, size_t size)
{
	size_t column = 0;

	MT_ASSERT(strlen(why) < size - 1); /* not cut */
	MT_ASSERT(sscanf(why, "column %zu: ", &column) == 1);
	MT_ASSERT(column >= 1 && column <= strlen(text) + 1);
}

static void check_mac(const char *text)
{
	uint8_t mac[6];
	char again[18];

	if (mt_mac_parse(text, mac))
		return;
	MT_ASSERT(!(mac[0] & 1));
	snprintf(again, sizeof(again), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	MT_ASSERT(strlen(text) == 17);
	for (size_t i = 0; i < 17; i++)
		MT_ASSERT((text[i] | 0x20) == (again[i] | 0x20));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_guest_limits l;
	char *text = malloc(size + 1); /* so that a sanitizer sees each read after its end */
	char why[256];
	const char *wrong;

	MT_ASSERT(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	wrong = mt_guest_limits_parse(text, 7, &l, why, sizeof(why));
	MT_ASSERT(!wrong || wrong == why);
	if (wrong)
		check_reason(text, why, sizeof(why));
	else
		check_limits(&l);
	check_mac(text);
	free(text);
	return 0;
}
