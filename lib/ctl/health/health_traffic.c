/* SPDX-License-Identifier: Apache-2.0 */
/* Checks endpoints, rate limits, and the sources of configuration. */
#include "mt_health.h"
#include "mt_ctl_events_priv.h"

#include "mt_cert.h"

#include <stdio.h>
#include <string.h>

#define NAMED	    4	 /* endpoints in a finding; the others are "..." */
#define CERT_WARN_S 3600 /* warn below this validity; renewal starts at 80 % of the lifetime */

/* Endpoints of a cluster that take no traffic; unreached: no port and no route leads to them. */
struct out {
	uint32_t n, ejected, unreached;
	char names[NAMED * (MT_ADDR_STRLEN + 16)];
};

/* Adds "ADDRESS:PORT STATE" to the names, or "..." once. */
static void add(struct out *o, const struct mt_endpoint *ep)
{
	uint8_t drains = __atomic_load_n(&ep->state->draining, __ATOMIC_RELAXED);
	bool unreached = drains == MT_EP_DRAIN_NO_ROUTE;
	bool ejected = !unreached && mt_ep_is_out(ep->state);
	size_t at = strlen(o->names);
	char name[MT_ADDR_STRLEN];

	o->ejected += ejected;
	o->unreached += unreached;
	if (o->n++ > NAMED)
		return;
	if (o->n > NAMED)
		snprintf(o->names + at, sizeof(o->names) - at, ", ...");
	else
		snprintf(o->names + at, sizeof(o->names) - at, "%s%s %s", at ? ", " : "",
			mt_endpoint_name(ep, name),
			unreached ? "no route"
			: ejected ? "ejected"
			: drains  ? "draining"
				  : "leaving");
}

static struct out out_of(const struct mt_health *h, const struct mt_cluster *cl)
{
	struct out o = {0};

	for (uint32_t i = 0; i < cl->n_eps; i++)
		if (!mt_ctl_ep_takes_traffic(cl->eps[i].state, h->c->now))
			add(&o, &cl->eps[i]);
	return o;
}

static const char *remedy_of(const struct out *o)
{
	if (o->ejected)
		return "are the servers up? `show outliers`";
	if (o->unreached)
		return "write a route to them in the Node's spec.routes, if they are to be used";
	return "`show endpoints` has the reasons of drains; `return endpoint ADDRESS:PORT` ends a "
	       "drain by an operator";
}

static void check_cluster(struct mt_health *h, const struct mt_cluster *cl)
{
	struct out o = out_of(h, cl);

	/* No call has requested the cluster yet, or check_closed() reports it. */
	if (cl->demand || cl->closed_by)
		return;
	if (cl->n_eps == 0 && cl->endpoints_resource && cl->n_out == 0)
		mt_found(h, MT_FOUND_NOTE, cl->name,
			"nothing, if none of its servers runs: `show clusters`",
			"the control plane names no server that can be used: every request to it "
			"is refused");
	else if (cl->n_eps == 0)
		mt_found(h, MT_FOUND_FAULT, cl->name,
			"`show clusters` and `show config`: does a ServiceEntry or WorkloadEntry, "
			"or "
			"the control plane, name servers for it?",
			"no server%s: every request to it is refused",
			cl->n_out ? " in it (all are reported unhealthy)" : "");
	else if (o.n == cl->n_eps)
		mt_found(h, MT_FOUND_FAULT, cl->name, remedy_of(&o),
			"none of its %u servers takes traffic, so calls go to them nevertheless: "
			"%s",
			cl->n_eps, o.names);
	else if (o.ejected)
		mt_found(h, MT_FOUND_WARNING, cl->name,
			"is that server up, and does it answer? It is tried again by itself",
			"%u of %u servers take no traffic: %s", o.n, cl->n_eps, o.names);
	else if (o.unreached)
		mt_found(h, MT_FOUND_NOTE, cl->name, remedy_of(&o),
			"%u of %u servers take no traffic: %s: no port and no route of the node "
			"leads to them",
			o.n, cl->n_eps, o.names);
}

/*
 * A policy that cannot be evaluated fails closed. This is not a problem of the endpoints, so that
 * it has a finding of its own.
 */
static void check_closed(struct mt_health *h, const struct mt_snapshot *snap)
{
	json_t *services = mt_ctl_services_json(snap), *row;
	size_t i;

	json_array_foreach(services, i, row)
	{
		const char *status = json_string_value(json_object_get(row, "status"));

		if (status && strcmp(status, "closed") == 0)
			mt_found(h, MT_FOUND_WARNING,
				json_string_value(json_object_get(row, "host")),
				"fix or withdraw the object that closes it: `show objects` has the "
				"part that cannot be evaluated",
				"closed by %s: calls to it are denied",
				json_string_value(json_object_get(row, "by")));
	}
	json_decref(services);
}

void mt_check_endpoints(struct mt_health *h)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(h->c);

	check_closed(h, snap);
	for (uint32_t i = 0; snap && i < snap->n_clusters; i++)
		check_cluster(h, &snap->clusters[i]);
}

void mt_check_limits(struct mt_health *h)
{
	struct mt_limit_registry *reg = h->c->env.conf ? mt_conf_limits(h->c->env.conf) : NULL;
	struct mt_limit_info info;
	uint32_t idx = 0;

	while (reg && mt_limit_next(reg, &idx, h->c->now, &info))
		if (info.tokens == 0 && info.refused)
			mt_found(h, MT_FOUND_NOTE, info.service,
				"if this traffic is welcome, raise the limit; `show limits`",
				"the limit of %u each %llu ms for %s is used up; %llu refused so "
				"far",
				info.numbers.tokens_per_fill,
				(unsigned long long)(info.numbers.fill_ns / MT_MSEC), info.match,
				(unsigned long long)info.refused);
}

/* ---- control planes ------------------------------------------------------------------------- */

static void check_streams(struct mt_health *h, struct mt_xds *x)
{
	struct mt_xds_stream_info s;
	uint32_t pos = 0;

	while (mt_xds_stream_next(x, &pos, &s))
		if (strcmp(s.state, "up") != 0)
			mt_found(h, MT_FOUND_WARNING, s.server,
				"its last resources stay in use; is the control plane up and "
				"reachable from here? `show xds`",
				"%s: %s for %llu s%s%s", s.stream, s.state,
				(unsigned long long)(s.since_ns && h->c->now > s.since_ns
							     ? (h->c->now - s.since_ns) / MT_SEC
							     : 0),
				*s.why ? ": " : "", s.why);
}

/*
 * Reports resources of the mesh that this node does not serve, in one finding however many there
 * are.
 */
static void tell_beyond(struct mt_health *h, const struct mt_xds_resource_info *first, uint32_t n)
{
	char words[MT_FIRST_OF];

	if (n)
		mt_found(h, MT_FOUND_NOTE, first->name,
			"nothing, if no call of this node is for it: `show xds`, "
			"docs/reference/xds.md",
			"%s%s %s: %s", mt_first_of(words, n, "resources", "show resources"),
			first->type, first->state, first->reason);
}

/*
 * Reports problems of the state file. They affect the next start without a server, but not the
 * applied configuration.
 */
static void check_kept(struct mt_health *h, struct mt_xds *x)
{
	struct mt_xds_info info;

	/* mt_check_state_directory() has it. */
	if (h->c->env.state_trouble && h->c->env.state_trouble(h->c->env.arg))
		return;
	mt_xds_info(x, &info);
	if (info.kept_troubled)
		mt_found(h, MT_FOUND_WARNING, info.name,
			"is the disk of stateDirectory full, read-only or failing? The active "
			"configuration stays in use, and writing is retried automatically",
			"%s", info.kept);
}

void mt_check_control_planes(struct mt_health *h)
{
	for (uint32_t i = 0; i < h->c->env.n_sources; i++) {
		struct mt_xds *x = h->c->env.sources[i];
		struct mt_xds_resource_info r, first;
		const void *pos = NULL;
		uint32_t beyond = 0;

		check_streams(h, x);
		check_kept(h, x);
		while (mt_xds_resource_next(x, &pos, &r)) {
			if (r.beyond && beyond++ == 0)
				first = r;
			if (r.troubled && !r.beyond)
				mt_found(h, MT_FOUND_WARNING, r.name,
					"fix it in the control plane; the last good one, if there "
					"was one, stays in use",
					"%s %s%s: %s", r.type, r.state,
					strncmp(r.state, "refused", 7) == 0 ? " (NACK)" : "",
					*r.reason ? r.reason : "no reason given");
		}
		tell_beyond(h, &first, beyond);
	}
}

/* Certificates and revocation lists that documents name, as they were at the last look. */
static void check_of_documents(struct mt_health *h)
{
	static const char remedy[] =
		"renew its files or its Secret: does what writes them run? They "
		"are read again by themselves, within a minute or two";
	const struct mt_cert_look *l;
	uint32_t pos = 0;

	while ((l = mt_events_certificate_next(h->c, &pos)) != NULL) {
		int64_t left = mt_ctl_until(h->c, l->not_after);
		enum mt_cert_age age = mt_cert_age(l->not_before, l->not_after, left);
		char words[64];

		if (age == MT_CERT_OVER)
			mt_found(h, MT_FOUND_FAULT, l->name, remedy, "it has expired: %s",
				l->list ? "certificates of its authority are refused"
					: "peers refuse it");
		else if (age == MT_CERT_TENTH)
			mt_found(h, MT_FOUND_WARNING, l->name, remedy,
				"it expires in %s, less than a tenth of its lifetime, and was not "
				"renewed",
				mt_span_words(left, words, sizeof(words)));
	}
}

void mt_check_certificates(struct mt_health *h)
{
	const struct mt_ctl_env *env = &h->c->env;

	for (uint32_t i = 0; env->identity_left && i < env->n_sources; i++) {
		struct mt_xds_info info;
		int64_t left;
		const char *words = env->identity(env->arg, i);

		if (!words || !env->identity_left(env->arg, i, &left))
			continue;
		mt_xds_info(env->sources[i], &info);
		if (left <= 0)
			mt_found(h, MT_FOUND_FAULT, info.name,
				"renewal is retried automatically; if the authority is "
				"unreachable, fix that, or run `meltemi join` with a new token",
				"the certificate has expired: %s", words);
		else if (left < CERT_WARN_S)
			mt_found(h, MT_FOUND_WARNING, info.name,
				"renewal should have happened by now: is the certificate authority "
				"reachable? `show xds`",
				"the certificate ends in %lld min: %s", (long long)(left / 60),
				words);
	}
	check_of_documents(h);
}
