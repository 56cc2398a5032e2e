/* SPDX-License-Identifier: Apache-2.0 */
#include "limited.h"

#include "mt_test.h"

#include <stdio.h>
#include <string.h>

const struct li_service li_services[LI_SERVICES] = {
	[MT_L4_NAT] = {"nat", "192.0.2.80", SC_NAT, SC_NAT_TCP, 4000, 5432},
	[MT_L4_NAT_FULL] = {"nat-full", "203.0.113.80", SC_FULL, SC_FULL_TCP, 4001, 5433},
	[MT_L4_DSR] = {"dsr", "192.0.2.80", SC_DSR, SC_DSR_TCP, 4010, 5440},
	[MT_L4_IPIP] = {"tunnel-ipip", "192.0.2.80", SC_IPIP, SC_IPIP_TCP, 4012, 5441},
	[MT_L4_GUE] = {"tunnel-gue", "192.0.2.80", SC_GUE, SC_GUE_TCP, 4014, 5442},
};

struct scene li;

void li_open(uint16_t workers, uint32_t flows)
{
	memset(li.limits, 0, sizeof(li.limits));
	sc_open(&li, workers, flows);
	li_warm();
}

void li_warm(void)
{
	char text[MT_ADDR_STRLEN];

	/* Each endpoint gets some of these. */
	for (uint32_t i = 0; i < LI_SERVICES * 40; i++) {
		(void)li_datagram(&li_services[i % LI_SERVICES], li_client(60000 + i, text),
			(uint16_t)(1024 + i), 10);
		sc_turn(&li, 2 * MT_MSEC);
	}
}

void li_close(void)
{
	CU_ASSERT(sc_close(&li));
}

void li_limit(uint32_t service, enum mt_l4_limit limit, uint32_t max)
{
	li.limits[service] = (struct mt_l4_limits_conf){{0}};
	li.limits[service].max[limit] = max;
	sc_swap(&li);
}

const char *li_client(uint32_t i, char text[MT_ADDR_STRLEN])
{
	snprintf(text, MT_ADDR_STRLEN, "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
	return text;
}

static bool passes(const struct fx_pkt *p)
{
	uint64_t before = sc_count(&li, MT_L4_forwarded);

	fx_clear(&li.f);
	sc_receive(&li, 0, fx_mbuf(&li.f, p->b, p->len, 0));
	return sc_count(&li, MT_L4_forwarded) > before;
}

bool li_datagram(const struct li_service *v, const char *client, uint16_t port, uint16_t data)
{
	struct sc_udp u = {
		.src = client, .dst = v->vip, .sport = port, .dport = v->port, .data = data};
	struct fx_pkt p = {0};

	sc_frame(&u, &p);
	return passes(&p);
}

bool li_syn(const struct li_service *v, const char *client, uint16_t port)
{
	struct cn_segment g = {.src = client,
		.dst = v->vip,
		.sport = port,
		.dport = v->tcp_port,
		.seq = 1000,
		.flags = SYN};
	struct fx_pkt p = {0};

	cn_frame(&g, &p);
	return passes(&p);
}

uint64_t li_refused(uint32_t service, enum mt_l4_limit limit)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < li.f.workers; i++)
		sum += mt_l4_limited(li.l[i], service, limit);
	return sum;
}
