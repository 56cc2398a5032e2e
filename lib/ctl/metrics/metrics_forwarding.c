/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of services that are forwarded at layer 4, summed over workers. A service keeps its
 * number as long as it exists, so the services with series do not change with those of others.
 */
#include "mt_ctl_forwarding_priv.h"
#include "mt_ctl_metrics_priv.h"

#include <netinet/in.h>
#include <stdio.h>

/* Services with higher numbers have no series. */
#define SERVICES_MAX 1000
/* Networks of clients with higher numbers have none either. */
#define NETWORKS_MAX 1000

struct forwarded {
	char port[8];
	const struct mt_l4_service *s;
	struct mt_l4_stats stats;
};

/* The next service with series; false: there is none, or the slice is full. */
static bool next(struct mt_collect *k, struct forwarded *f)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(k->c);
	const struct mt_l4_set *set = snap ? snap->l4 : NULL;
	uint32_t n = set ? set->n_services : 0;

	/* Services are sorted by number. */
	k->more = k->pos < n && set->services[k->pos].id < SERVICES_MAX;
	if (!k->more || mt_sink_full(k->out))
		return false;
	f->s = &set->services[k->pos++];
	snprintf(f->port, sizeof(f->port), "%u", f->s->port);
	f->stats = mt_ctl_forwarded(k->c, f->s->id);
	return true;
}

/* `more`: the value of the family's fourth label; NULL: it has three. */
static void emit(struct mt_collect *k, const struct forwarded *f, const char *name,
	const char *more, uint64_t v)
{
	const struct mt_label labels[] = {{"service", f->s->name}, {"port", f->port},
		{"protocol", f->s->proto == IPPROTO_TCP ? "tcp" : "udp"}, {name, more}};

	mt_sample(k->out, k->f, labels, more ? 4 : 3, (double)v);
}

static void collect(struct mt_collect *k)
{
	struct forwarded f;

	while (next(k, &f))
		emit(k, &f, NULL, NULL, mt_collect_member(k, &f.stats));
}

static void collect_packets(struct mt_collect *k)
{
	struct forwarded f;

	while (next(k, &f)) {
		emit(k, &f, "from", "clients", f.stats.packets[0]);
		emit(k, &f, "from", "endpoints", f.stats.packets[1]);
	}
}

/* Only reasons for which something was refused. */
static void collect_refused(struct mt_collect *k)
{
	struct forwarded f;

	while (next(k, &f)) {
		for (size_t i = 0; i < MT_CTL_FORWARD_REASONS; i++) {
			const struct mt_ctl_forward_reason *r = &mt_ctl_forward_reasons[i];
			uint64_t n = mt_ctl_forward_count(&f.stats, r);

			if (n)
				emit(k, &f, "reason", r->name, n);
		}
		for (uint32_t i = 0; i < MT_L4_LIMITS; i++) {
			uint64_t n = mt_ctl_forwarded_limited(k->c, f.s->id, (enum mt_l4_limit)i);

			if (n)
				emit(k, &f, "reason", mt_l4_limit_names[i], n);
		}
	}
}

static void collect_networks(struct mt_collect *k)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(k->c);
	const struct mt_l4_set *set = snap ? snap->l4 : NULL;
	uint32_t n = set ? set->n_rules : 0;

	for (; k->pos < n && !mt_sink_full(k->out); k->pos++) {
		const struct mt_l4_rule *r = &set->rules[k->pos];
		const struct mt_l4_service *s = mt_l4_service(set, r->service);
		char port[8], text[MT_ADDR_STRLEN + 4];

		if (r->network.rule > NETWORKS_MAX)
			continue;
		snprintf(port, sizeof(port), "%u", s->port);
		mt_emit(k, mt_ctl_forwarded_matched(k->c, r), {"service", s->name}, {"port", port},
			{"protocol", s->proto == IPPROTO_TCP ? "tcp" : "udp"},
			{"list", r->deny ? "deny" : "allow"},
			{"network", mt_ctl_forwarded_network(r, text)});
	}
	k->more = k->pos < n;
}

#define LABELS	"service, port, protocol"
#define STAT(m) offsetof(struct mt_l4_stats, m)
#define BOUND	"; of the first 1000 forwarded services, `show forwarding` has all"

const struct mt_family_row mt_families_forwarding[] = {
	{"meltemi_forwarding_flows_total", MT_COUNTER, "flows", LABELS,
		"flows made of a service that is forwarded at layer 4" BOUND, collect,
		STAT(flows_made)},
	{"meltemi_forwarding_packets_total", MT_COUNTER, "packets", LABELS ", from",
		"packets that were forwarded, from clients and from endpoints; also those that a "
		"port's full queue dropped then (`meltemi_net_forward_full_total`)",
		collect_packets, 0},
	{"meltemi_forwarding_bytes_total", MT_COUNTER, "bytes", LABELS,
		"bytes of these packets in both directions, from the IP header on", collect,
		STAT(bytes)},
	{"meltemi_forwarding_refused_total", MT_COUNTER, "packets", LABELS ", reason",
		"packets refused or dropped: `closed`: a policy closes the port, `policy_denied`: "
		"a policy denies the client's address, `denied`: the client is not among those "
		"that may use the port, `no_endpoint`: the service, or the destination of its "
		"route, has none of the address's family, `no_nat_port`: no source port is free, "
		"`no_route`, `neighbour_unknown`, `ttl_exceeded`, `table_full`: as "
		"`meltemi_l4_no_route_total` and the others count of all services, or the name of "
		"the exceeded limit; `refused` of `show forwarding` is their sum, its `denied` "
		"that of the first three. Its rows are by address, these numbers by service",
		collect_refused, 0},
	{"meltemi_forwarding_network_packets_total", MT_COUNTER, "packets",
		LABELS ", list, network",
		"packets without a flow that a network of a list decided: those of `allow` were "
		"let "
		"through, those of `deny` dropped; of the first 1000 networks, `show forwarding` "
		"has 4096",
		collect_networks, 0},
	{0},
};
