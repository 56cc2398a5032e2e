/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that are forwarded at layer 4. */
#include "mt_ctl_events_priv.h"
#include "mt_ctl_forwarding_priv.h"

#include "mt_authz.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

const struct mt_forward *mt_ctl_forward_at(
	const struct mt_snapshot *s, const struct mt_addr *addr, uint16_t port)
{
	for (uint32_t i = 0; s && i < s->n_forwards; i++)
		if (s->forwards[i].port == port && mt_addr_eq(&s->forwards[i].addr, addr))
			return &s->forwards[i];
	return NULL;
}

const char *mt_ctl_transport(uint8_t protocol)
{
	return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "other";
}

const struct mt_l4_row *mt_ctl_forwarded_row(
	const struct mt_snapshot *s, const struct mt_forward *f)
{
	return s->l4 ? mt_l4_row(s->l4, &f->addr, f->port, f->protocol) : NULL;
}

/* "tcp every 2000 ms, 3 failures"; "none". */
static json_t *check_of(const struct mt_l4_row *r)
{
	char text[80];

	if (!r || r->check.kind == MT_L4_CHECK_NONE)
		return json_string("none");
	snprintf(text, sizeof(text), "%s every %u ms, %u failures%s",
		mt_health_check_words[r->check.kind], r->check.interval_ms, r->check.failures,
		r->check.lenient ? " after the first success" : "");
	return mt_json_text(text);
}

static uint32_t unhealthy_of(const struct mt_cluster *c, uint64_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_eps; i++)
		n += mt_ep_ejected(c->eps[i].state, now);
	return n;
}

uint64_t mt_ctl_forwarded_limited(const struct mt_ctl *c, uint32_t service, enum mt_l4_limit limit)
{
	uint64_t sum = 0;

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_l4 *l = mt_worker_l4(c->env.workers[w]);

		sum += l ? mt_l4_limited(l, service, limit) : 0;
	}
	return sum;
}

struct mt_l4_stats mt_ctl_forwarded(const struct mt_ctl *c, uint32_t service)
{
	struct mt_l4_stats sum = {0};

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_l4 *l = mt_worker_l4(c->env.workers[w]);

		if (l)
			mt_l4_service_stats(l, service, &sum);
	}
	return sum;
}

/* Connections that the port's limit of them counts, of all workers; null: it has none. */
static json_t *connections_of(const struct mt_ctl *c, const struct mt_l4_row *r)
{
	const struct mt_l4 *l = c->env.n_workers ? mt_worker_l4(c->env.workers[0]) : NULL;

	if (!l || !r || !r->limits.max[MT_L4_SERVICE_CONNECTIONS])
		return json_null();
	return json_integer(mt_l4_limiter_connections(mt_l4_limiter_of(l), r->service));
}

/* "perSource.packets 1000/s (12 refused), ..."; "none". */
static json_t *limits_of(const struct mt_ctl *c, const struct mt_l4_row *r)
{
	char text[600] = "none";
	size_t len = 0;

	for (uint32_t i = 0; r && i < MT_L4_LIMITS; i++) {
		if (!r->limits.max[i])
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"%s%s %u%s (%" PRIu64 " refused)", len ? ", " : "", mt_l4_limit_names[i],
			r->limits.max[i], i == MT_L4_SERVICE_CONNECTIONS ? "" : "/s",
			mt_ctl_forwarded_limited(c, r->service, (enum mt_l4_limit)i));
	}
	return mt_json_text(text);
}

/* Packets that limits refused, also limits that the port no longer has. */
static uint64_t limited_by_all(const struct mt_ctl *c, const struct mt_l4_row *r)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; r && i < MT_L4_LIMITS; i++)
		sum += mt_ctl_forwarded_limited(c, r->service, (enum mt_l4_limit)i);
	return sum;
}

#define STAT(m) offsetof(struct mt_l4_stats, m)
const struct mt_ctl_forward_reason mt_ctl_forward_reasons[] = {{"closed", STAT(closed)},
	{"policy_denied", STAT(policy_denied)}, {"denied", STAT(denied)},
	{"no_endpoint", STAT(no_endpoint)}, {"no_nat_port", STAT(no_nat_port)},
	{"no_route", STAT(no_route)}, {"neighbour_unknown", STAT(neighbour_unknown)},
	{"ttl_exceeded", STAT(ttl_exceeded)}, {"table_full", STAT(table_full)}};
/* The others are flows, packets of each side, and bytes. */
_Static_assert(sizeof(struct mt_l4_stats) == (4 + MT_CTL_FORWARD_REASONS) * sizeof(uint64_t),
	"each reason is listed");

uint64_t mt_ctl_forward_count(
	const struct mt_l4_stats *stats, const struct mt_ctl_forward_reason *r)
{
	uint64_t n;

	memcpy(&n, (const char *)stats + r->off, sizeof(n));
	return n;
}

uint64_t mt_ctl_forwarded_refused(
	const struct mt_ctl *c, const struct mt_l4_row *r, const struct mt_l4_stats *stats)
{
	uint64_t sum = limited_by_all(c, r);

	for (size_t i = 0; i < MT_CTL_FORWARD_REASONS; i++)
		sum += mt_ctl_forward_count(stats, &mt_ctl_forward_reasons[i]);
	return sum;
}

static bool has_endpoints(const struct mt_cluster *c, const struct mt_l4_row *r)
{
	return r ? r->group != NULL : c->n_eps > 0;
}

const char *mt_ctl_forwarded_state(const struct mt_snapshot *s, const struct mt_forward *f)
{
	const struct mt_cluster *c = &s->clusters[f->cluster];

	if (c->closed_by)
		return "closed";
	return has_endpoints(c, mt_ctl_forwarded_row(s, f)) ? "forwarded" : "no endpoints";
}

static json_t *reason_of(const struct mt_ctl *ctl, const struct mt_snapshot *s,
	const struct mt_cluster *c, const struct mt_l4_row *r)
{
	uint64_t ns = r ? mt_events_one_way_for(ctl, mt_l4_service(s->l4, r->service)) : 0;
	char text[600];

	if (!c->closed_by && ns) {
		snprintf(text, sizeof(text),
			"for %" PRIu64 " s no reply has returned through this node: route "
			"endpoints' replies to clients through it, or use nat-full",
			(uint64_t)(ns / MT_SEC));
		return mt_json_text(text);
	}
	if (!c->closed_by)
		return has_endpoints(c, r) ? json_null() : json_string("no endpoint can be used");
	snprintf(text, sizeof(text), "closed by %s", c->closed_by->by);
	return mt_json_text(text);
}

/* True if the Node or a policy lets only some clients through. */
static bool are_listed(const struct mt_snapshot *s, const struct mt_l4_row *r)
{
	return r && (r->sources || mt_l4_service(s->l4, r->service)->n_clients);
}

static void add(const struct mt_ctl *ctl, json_t *list, const struct mt_snapshot *s,
	const struct mt_forward *f)
{
	const struct mt_cluster *c = &s->clusters[f->cluster];
	const struct mt_l4_row *r = mt_ctl_forwarded_row(s, f);
	struct mt_l4_stats stats = {0};
	char text[MT_ADDR_STRLEN];

	if (r)
		stats = mt_ctl_forwarded(ctl, r->service);
	mt_json_add(list, MT_M("address", mt_addr_str(&f->addr, text)), MT_M("port", f->port),
		MT_M("protocol", mt_ctl_transport(f->protocol)),
		MT_M("mode", mt_forwarding_str(f->mode)), MT_M("service", f->service),
		MT_M("cluster", c->name), MT_M("endpoints", c->n_eps),
		MT_M("unhealthy", unhealthy_of(c, ctl->now)), MT_M("check", check_of(r)),
		MT_M("clients", are_listed(s, r) ? "listed" : "all"),
		MT_M("limits", limits_of(ctl, r)), MT_M("connections", connections_of(ctl, r)),
		MT_M("flows_made", stats.flows_made),
		MT_M("packets", stats.packets[0] + stats.packets[1]), MT_M("bytes", stats.bytes),
		MT_M("refused", mt_ctl_forwarded_refused(ctl, r, &stats)),
		MT_M("limited", limited_by_all(ctl, r)),
		MT_M("denied", stats.denied + stats.policy_denied + stats.closed),
		MT_M("no_endpoint", stats.no_endpoint), MT_M("no_nat_port", stats.no_nat_port),
		MT_M("no_route", stats.no_route),
		MT_M("neighbour_unknown", stats.neighbour_unknown),
		MT_M("ttl_exceeded", stats.ttl_exceeded), MT_M("table_full", stats.table_full),
		MT_M("state", mt_ctl_forwarded_state(s, f)),
		MT_M("reason", reason_of(ctl, s, c, r)),
		MT_M("origin", mt_json_origin(f->file, f->line)));
}

uint64_t mt_ctl_forwarded_matched(const struct mt_ctl *c, const struct mt_l4_rule *r)
{
	uint64_t packets = 0;

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_l4 *l = mt_worker_l4(c->env.workers[w]);

		packets += l ? mt_l4_rule_packets(l, r->network.rule - 1) : 0;
	}
	return packets;
}

const char *mt_ctl_forwarded_network(const struct mt_l4_rule *r, char *text)
{
	size_t n = strlen(mt_addr_str(&r->network.addr, text));

	snprintf(text + n, sizeof("/128"), "/%u", r->network.prefix);
	return text;
}

/* An object of the addresses of each service that is forwarded, by the service's id. */
static json_t *addresses_by_service(const struct mt_snapshot *s)
{
	json_t *all = json_object();

	for (uint32_t i = 0; s && i < s->n_forwards; i++) {
		const struct mt_l4_row *r = mt_ctl_forwarded_row(s, &s->forwards[i]);
		char id[16], text[MT_ADDR_STRLEN];
		json_t *list;

		if (!r)
			continue;
		snprintf(id, sizeof(id), "%u", r->service);
		list = json_object_get(all, id);
		if (!list) {
			list = json_array();
			json_object_set_new(all, id, list);
		}
		json_array_append_new(list, mt_json_text(mt_addr_str(&s->forwards[i].addr, text)));
	}
	return all;
}

static void add_rule(const struct mt_ctl *c, json_t *list, const struct mt_snapshot *s,
	const struct mt_l4_rule *r, const json_t *addresses)
{
	const struct mt_l4_service *of = mt_l4_service(s->l4, r->service);
	char id[16], text[MT_ADDR_STRLEN + 4];
	json_t *own;

	snprintf(id, sizeof(id), "%u", r->service);
	own = json_object_get(addresses, id);
	mt_json_add(list, MT_M("service", of->name),
		MT_M("addresses", own ? json_incref(own) : json_array()), MT_M("port", of->port),
		MT_M("protocol", mt_ctl_transport(of->proto)),
		MT_M("list", r->deny ? "deny" : "allow"),
		MT_M("network", mt_ctl_forwarded_network(r, text)),
		MT_M("matched", mt_ctl_forwarded_matched(c, r)));
}

json_t *mt_show_forwarding(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	json_t *list = json_array(), *rules = json_array(), *addresses = addresses_by_service(s);

	for (uint32_t i = 0; s && i < s->n_forwards; i++)
		add(c, list, s, &s->forwards[i]);
	for (uint32_t i = 0; s && s->l4 && i < s->l4->n_rules; i++)
		add_rule(c, rules, s, &s->l4->rules[i], addresses);
	json_decref(addresses);
	return mt_json_object(MT_M("forwarding", list), MT_M("rules", rules));
}
