/* SPDX-License-Identifier: Apache-2.0 */
/* Services: routes or destinations of bytes, filters, and what they say of early forwarding. */
#include "golden.h"

#include "mt_filter_fault.h"
#include "mt_filter_priv.h"
#include "mt_route_priv.h"
#include "mt_secret_hash.h"

#include "global_ratelimit/global.h"
#include "keyed_ratelimit/keyed.h"
#include "local_ratelimit/limit.h"

#include <stdio.h>
#include <string.h>

/* Only a hash of host and port is kept, so the port is looked for; 0: the identity is something else. */
static uint32_t port_of(const struct mt_service *s)
{
	char *text;

	for (uint32_t port = 1; port <= UINT16_MAX; port++) {
		bool same;

		MT_ASSERT(asprintf(&text, "%s:%u", s->name, port) > 0);
		same = mt_secret_hash_text(text, 0) == s->id;
		free(text);
		if (same)
			return port;
	}
	return 0;
}

char *golden_service_name(const struct mt_service *s)
{
	char *text;

	MT_ASSERT(asprintf(&text, "%s:%u%s%s", s->name, port_of(s), s->resource ? " of " : "",
			  s->resource ? s->resource : "") > 0);
	return text;
}

/* ---- routes ------------------------------------------------------------------------------------- */

static json_t *destinations(
	const struct mt_snapshot *s, const struct mt_route_dest *d, uint32_t n, uint32_t total)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		add_text(list, "%u of %u to %s", d[i].weight, total,
			golden_cluster_name(s, d[i].cluster));
	return list;
}

static json_t *mutations(const struct mt_mutation *m, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		add_text(list, "%s %.*s%s%.*s", m[i].value ? "set" : "remove", (int)m[i].key_len,
			m[i].key, m[i].value ? "=" : "", (int)m[i].value_len,
			m[i].value ? m[i].value : "");
	return list;
}

static json_t *hash_by(const struct mt_hash_by *h)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < h->n_keys; i++)
		add_text(list, "key %s%s", h->keys[i].name, h->keys[i].id < 0 ? "" : " (known)");
	if (h->source)
		add_text(list, "source");
	return list;
}

static json_t *mirrors(const struct mt_snapshot *s, const struct mt_route_action *a)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->n_mirrors; i++)
		add_text(list, "%u of a million to %s", a->mirrors[i].ppm,
			golden_cluster_name(s, a->mirrors[i].cluster));
	return list;
}

static json_t *retry(const struct mt_retry *r)
{
	json_t *one = json_object();

	put_number(one, "on", r->on);
	put_number(one, "attempts", r->attempts);
	put_number(one, "try_ms", r->try_ms);
	put_number(one, "base_ms", r->base_ms);
	put_number(one, "max_ms", r->max_ms);
	put_number(one, "same_hosts", r->same_hosts);
	return one;
}

static json_t *route(const struct mt_snapshot *s, const struct mt_route_action *a)
{
	json_t *one = json_object();

	put_text(one, "name", a->name);
	put_identity(one, "id", a->id);
	put_identity(one, "index", a->index + 1);
	put_text(one, "match", a->match);
	put_json(one, "destinations", destinations(s, a->dests, a->n_dests, a->total_weight));
	put_number(one, "timeout_ms", a->timeout_ms);
	if (a->retry)
		put_json(one, "retry", retry(a->retry));
	put_json(one, "request", mutations(a->req_mut, a->n_req_mut));
	put_json(one, "reply", mutations(a->rsp_mut, a->n_rsp_mut));
	if (a->n_mirrors)
		put_json(one, "mirrors", mirrors(s, a));
	put_json(one, "hashes by", hash_by(&a->hash));
	put_file(one, a->file, a->line);
	return one;
}

/* An empty table is one, too: nothing matches. */
static json_t *routes(const struct mt_snapshot *s, const struct mt_route_table *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < mt_route_count(t); i++)
		json_array_append_new(list, route(s, mt_route_at(t, i)));
	return list;
}

/* ---- filters ------------------------------------------------------------------------------------ */

static json_t *bucket(const struct mt_bucket *told)
{
	const struct mt_bucket *b = told;
	json_t *one = json_object();

	put_text(one, "bucket", b->match);
	put_text(one, "of", b->service);
	put_number(one, "same words before", b->ordinal);
	put_number(one, "max", b->numbers.max_tokens);
	put_number(one, "per fill", b->numbers.tokens_per_fill);
	put_number(one, "fill_ms", b->numbers.fill_ns / MT_MSEC);
	put_true(one, "only reports", b->report_only);
	/* Another one of the same identity and other numbers has its tokens. */
	while (b->state == MT_BUCKET_OLD && b->next)
		b = b->next;
	if (b != told)
		put_number(one, "in force is max", b->numbers.max_tokens);
	return one;
}

static void put_limit(json_t *to, const struct mt_limit *l)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < l->n; i++) {
		json_t *one = bucket(l->buckets[i]);

		put_text(one, "match", mt_route_at(l->conds, i)->match);
		put_number(one, "line", l->lines[i]);
		json_array_append_new(list, one);
	}
	put_json(to, "conditions", list);
	if (l->own)
		put_json(to, "own", bucket(l->own));
}

static json_t *entries(const struct mt_global_limit_descriptor *d)
{
	static const char *const sources[] = {[MT_GLOBAL_PROPERTY] = "property",
		[MT_GLOBAL_METADATA] = "metadata",
		[MT_GLOBAL_METHOD] = "method",
		[MT_GLOBAL_ADDRESS] = "address",
		[MT_GLOBAL_TEXT] = "text"};
	json_t *list = json_array();

	for (uint32_t i = 0; i < d->n; i++) {
		json_t *one = json_object();

		put_text(one, "key", d->entry[i].key);
		put_text(one, "source", sources[d->entry[i].source]);
		put_text(one, "from", d->entry[i].from);
		put_true(one, "matches", d->entry[i].match);
		put_true(one, "unless", d->entry[i].unless);
		json_array_append_new(list, one);
	}
	return list;
}

/* Numbers of descriptors: the first one, and how many there are. */
static void put_sets(json_t *to, const struct mt_global_limit *l)
{
	json_t *list = json_array();

	for (uint32_t i = 0; l->routes && i < mt_route_count(l->routes); i++)
		json_array_append_new(list,
			json_pack("{s:s, s:i, s:i}", "match", mt_route_at(l->routes, i)->match,
				"first", (int)l->sets[i].first, "n", (int)l->sets[i].n));
	put_json(to, "routes", list);
}

static void put_global(json_t *to, const struct mt_global_limit *l)
{
	json_t *list = json_array();

	put_text(to, "domain", l->domain);
	put_text(to, "rate limit service", l->provider ? l->provider->name : NULL);
	put_number(to, "timeout_ms", l->provider ? l->provider->timeout / MT_MSEC : 0);
	put_true(to, "fails open", l->fail_open);
	put_text(to, "match", l->words);
	for (uint32_t i = 0; i < l->n; i++) {
		json_t *one = json_object();

		if (l->of[i].n == 1 && l->of[i].entry->source == MT_GLOBAL_PROPERTY) {
			put_text(one, "property", l->of[i].entry->from);
			put_text(one, "key", l->of[i].entry->key);
		} else {
			put_json(one, "entries", entries(&l->of[i]));
		}
		json_array_append_new(list, one);
	}
	put_json(to, "descriptors", list);
	put_sets(to, l);
}

static json_t *keyed_select(const struct mt_keyed_select *s)
{
	json_t *one = json_object();
	char net[MT_ADDR_STRLEN], text[MT_ADDR_STRLEN + 8];

	put_text(one, "match", s->words);
	put_text(one, "key", s->kind);
	put_text(one, "principal", s->principal);
	if (s->has_net) {
		snprintf(text, sizeof(text), "%s/%u", mt_addr_str(&s->net, net), s->prefix);
		put_text(one, "network", text);
	}
	put_true(one, "with other kinds", s->salted);
	return one;
}

static json_t *keyed_rule(const struct mt_keyed_limit_rule *r)
{
	json_t *one = json_object(), *selects = json_array();

	for (uint32_t i = 0; i < r->n_selects; i++)
		json_array_append_new(selects, keyed_select(&r->selects[i]));
	put_text(one, "name", r->name);
	put_number(one, "line", r->line);
	put_number(one, "max", r->numbers.max_tokens);
	put_number(one, "per fill", r->numbers.tokens_per_fill);
	put_number(one, "fill_ms", r->numbers.fill_ns / MT_MSEC);
	put_true(one, "only reports", r->report_only);
	put_json(one, "selects", selects);
	return one;
}

static void put_keyed(json_t *to, const struct mt_keyed_limit *l)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < l->n; i++)
		json_array_append_new(list, keyed_rule(&l->rules[i]));
	put_json(to, "rules", list);
	put_true(to, "closed", l->closed);
	put_true(to, "of opaque TCP", l->opaque);
	put_true(to, "reads", l->reads);
}

static void put_fault(json_t *to, const struct mt_fault_conf *f)
{
	put_number(to, "delay_ms", f->delay_ms);
	put_number(to, "delay_ppm", f->delay_ppm);
	put_number(to, "abort_ppm", f->abort_ppm);
}

static json_t *filters(const struct mt_service *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n_filter_insts; i++) {
		const struct mt_filter_inst *f = &s->filter_insts[i];
		json_t *one = json_object();

		put_text(one, "type", f->type->name);
		put_file(one, f->file, f->line);
		if (f->type == &mt_filter_local_ratelimit)
			put_limit(one, f->conf);
		if (f->type == &mt_filter_global_ratelimit)
			put_global(one, f->conf);
		if (f->type == &mt_filter_keyed_ratelimit)
			put_keyed(one, f->conf);
		if (f->type == &mt_filter_fault)
			put_fault(one, f->conf);
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *compiled(const struct mt_filters *f)
{
	json_t *one = json_object();

	put_number(one, "of requests", f ? f->n_request : 0);
	put_number(one, "of replies", f ? f->n_reply : 0);
	put_number(one, "of ends", f ? f->n_end : 0);
	put_number(one, "bytes", f ? f->bytes : 0);
	put_true(one, "reads", f && f->reads);
	put_true(one, "lasts", f && f->lasts);
	return one;
}

/* ---- services ----------------------------------------------------------------------------------- */

static json_t *service(const struct mt_snapshot *snap, const struct mt_service *s)
{
	json_t *one = json_object();
	char *name = golden_service_name(s);

	put_text(one, "name", name);
	free(name);
	put_text(one, "host", s->name);
	put_identity(one, "id", s->id);
	put_identity(one, "index", s->index + 1);
	put_text(one, "key", s->key);
	put_file(one, s->file, s->line);
	put_text(one, "routes' resource", s->routes_resource);
	put_number(one, "timeout_ms", s->timeout_ms);
	put_true(one, "forwards early", s->early_ok);
	put_true(one, "searches", s->searches);
	if (s->routes) {
		put_text(one, "routes' codec", s->routes->codec->name);
		json_object_set_new(one, "routes", routes(snap, s->routes));
	} else {
		put_text(one, "bytes to", golden_cluster_name(snap, s->tcp_cluster));
		put_json(one, "bytes by weight",
			destinations(snap, s->tcp_dests, s->n_tcp_dests, s->tcp_total_weight));
	}
	put_json(one, "gate", golden_gate(s->gate));
	put_json(one, "filters", filters(s));
	put_json(one, "compiled filters", compiled(s->filters));
	return one;
}

json_t *golden_services(const struct mt_snapshot *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n_services; i++)
		json_array_append_new(list, service(s, s->services[i]));
	return sorted(list, "name");
}
