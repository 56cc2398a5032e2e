/* SPDX-License-Identifier: Apache-2.0 */
/* What a publish changes, thing by thing: its name, where it was written, and in which fields it is different. */
#include "mt_conf_mesh_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAMED_MOST 4u /* endpoints or routes of a change that are named; the rest is counted */

struct words {
	char text[640];
	size_t len;
};

static void say(struct words *w, const char *fmt, ...) mt_printf(2, 3);

static void say(struct words *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->text + w->len, sizeof(w->text) - w->len, fmt, ap);
	va_end(ap);
	w->len = MT_MIN(w->len + (size_t)MT_MAX(n, 0), sizeof(w->text) - 1);
}

static void field(struct words *w, const char *name)
{
	say(w, "%s%s:", w->len ? "; " : "", name);
}

static void number(struct words *w, const char *name, uint32_t from, uint32_t to)
{
	if (from == to)
		return;
	field(w, name);
	say(w, " %u to %u", from, to);
}

/* ---- the list ------------------------------------------------------------------------------------- */

void mt_items_reset(struct mt_conf_items *l)
{
	mt_region_fini(&l->region);
	*l = (struct mt_conf_items){0};
}

static void add(struct mt_conf_items *l, const char *kind, enum mt_conf_verb verb, const char *name,
	const char *file, uint32_t line, const char *fields)
{
	struct mt_conf_item *i;

	if (l->n >= MT_CONF_ITEMS_MAX) {
		l->more++;
		return;
	}
	i = mt_region_push(&l->region, (void **)&l->v, &l->n, sizeof(*i));
	if (!i)
		return;
	*i = (struct mt_conf_item){.kind = kind,
		.verb = verb,
		.name = mt_region_strdup(&l->region, name),
		.fields = mt_region_strdup(&l->region, fields)};
	if (file && line)
		i->origin = mt_region_printf(&l->region, "%s:%u", file, line);
	else
		i->origin = mt_region_strdup(&l->region, file ? file : "");
	/* Without memory there is no item. */
	if (!i->name || !i->fields || !i->origin)
		l->n--;
}

/* ---- clusters ------------------------------------------------------------------------------------- */

/* Orders endpoints of one cluster by address and port, because identities are secret hashes. */
static int by_place(const struct mt_endpoint *a, const struct mt_endpoint *b)
{
	int rc = memcmp(&a->addr, &b->addr, sizeof(a->addr));

	return rc ? rc : (a->port > b->port) - (a->port < b->port);
}

static int compare(const void *a, const void *b)
{
	return by_place(
		*(const struct mt_endpoint *const *)a, *(const struct mt_endpoint *const *)b);
}

/* Sorted by place. NULL: no memory. */
static const struct mt_endpoint **sorted(const struct mt_cluster *c)
{
	const struct mt_endpoint **v = malloc(sizeof(struct mt_endpoint *) * MT_MAX(c->n_eps, 1u));

	for (uint32_t i = 0; v && i < c->n_eps; i++)
		v[i] = &c->eps[i];
	if (v)
		qsort(v, c->n_eps, sizeof(struct mt_endpoint *), compare);
	return v;
}

static void endpoint(struct words *w, uint32_t *n, const char *sign, const struct mt_endpoint *e)
{
	char text[MT_ADDR_STRLEN];

	if ((*n)++ < NAMED_MOST)
		say(w, " %s%s", sign, mt_endpoint_name(e, text));
}

static void weight(
	struct words *w, uint32_t *n, const struct mt_endpoint *from, const struct mt_endpoint *to)
{
	char text[MT_ADDR_STRLEN];

	if (from->weight == to->weight || (*n)++ >= NAMED_MOST)
		return;
	say(w, " %s weight %u to %u", mt_endpoint_name(to, text), from->weight, to->weight);
}

static void endpoints(struct words *w, const struct mt_cluster *old, const struct mt_cluster *new_)
{
	const struct mt_endpoint **a = sorted(old), **b = sorted(new_);
	struct words mine = {.len = 0};
	uint32_t i = 0, k = 0, n = 0;

	while (a && b && (i < old->n_eps || k < new_->n_eps)) {
		bool gone = k == new_->n_eps || (i < old->n_eps && by_place(a[i], b[k]) < 0);
		bool came = i == old->n_eps || (k < new_->n_eps && by_place(b[k], a[i]) < 0);

		if (gone)
			endpoint(&mine, &n, "-", a[i++]);
		else if (came)
			endpoint(&mine, &n, "+", b[k++]);
		else
			weight(&mine, &n, a[i++], b[k++]);
	}
	free(a);
	free(b);
	if (!n)
		return;
	field(w, "endpoints");
	say(w, "%s", mine.text);
	if (n > NAMED_MOST)
		say(w, " and %u more", n - NAMED_MOST);
}

static void warmup(
	struct words *w, const struct mt_warmup_rule *from, const struct mt_warmup_rule *to)
{
	number(w, "warm-up, ms", from->ms, to->ms);
	number(w, "warm-up begins at, 1/100 %", from->least, to->least);
	number(w, "warm-up aggression, 1/100", from->aggression, to->aggression);
}

/* "at most 3", "20 % of calls, at least 3". */
static const char *budget_text(const struct mt_retry_budget *b, char *text, size_t size)
{
	if (b->bound == MT_RETRY_BOUND_NUMBER)
		snprintf(text, size, "at most %u", b->n);
	else if (b->bound == MT_RETRY_BOUND_SHARE)
		snprintf(text, size, "%g %% of calls, at least %u", b->share / 100.0, b->n);
	else
		snprintf(text, size, "no limit");
	return text;
}

static void retry_budget(
	struct words *w, const struct mt_retry_budget *from, const struct mt_retry_budget *to)
{
	char old[64], now[64];

	if (from->bound == to->bound && from->n == to->n && from->share == to->share)
		return;
	field(w, "concurrent retries");
	say(w, " %s to %s", budget_text(from, old, sizeof(old)), budget_text(to, now, sizeof(now)));
}

static void cluster_fields(
	struct words *w, const struct mt_cluster *old, const struct mt_cluster *new_)
{
	static const struct mt_warmup_rule none;

	endpoints(w, old, new_);
	if (old->lb != new_->lb) {
		field(w, "balancer");
		say(w, " %s to %s", mt_lb_str(old->lb), mt_lb_str(new_->lb));
	}
	number(w, "connect timeout, ms", old->connect_ms, new_->connect_ms);
	number(w, "max connections", old->max_connections, new_->max_connections);
	number(w, "max requests", old->max_outstanding, new_->max_outstanding);
	number(w, "max pending", old->max_pending, new_->max_pending);
	retry_budget(w, &old->retry_budget, &new_->retry_budget);
	number(w, "consecutive failures", old->outlier.failures, new_->outlier.failures);
	number(w, "consecutive errors", old->outlier.errors, new_->outlier.errors);
	number(w, "base ejection, ms", old->outlier.base_ms, new_->outlier.base_ms);
	number(w, "longest ejection, ms", old->outlier.max_ms, new_->outlier.max_ms);
	number(w, "endpoints ejected at most, %", old->outlier.most, new_->outlier.most);
	number(w, "endpoints in rotation at least, %", old->min_health, new_->min_health);
	warmup(w, old->warmup ? &old->warmup->rule : &none,
		new_->warmup ? &new_->warmup->rule : &none);
	number(w, "smallest ring", old->ring_min, new_->ring_min);
	number(w, "largest ring", old->ring_max, new_->ring_max);
	number(w, "priorities", old->n_levels, new_->n_levels);
	number(w, "endpoints out of rotation", old->n_out, new_->n_out);
}

void mt_items_cluster(struct mt_conf_items *l, const struct mt_cluster *old,
	const struct mt_cluster *new_, const char *origin, bool said_otherwise)
{
	struct words w = {.len = 0};

	if (old && new_) {
		cluster_fields(&w, old, new_);
		if (!w.len && !said_otherwise)
			return;
	}
	add(l, "cluster",
		!old	? MT_CONF_ADDED
		: !new_ ? MT_CONF_REMOVED
			: MT_CONF_CHANGED,
		new_ ? new_->name : old->name, origin, 0, w.text);
}

/* ---- services ------------------------------------------------------------------------------------- */

static bool has_route(const struct mt_service *s, uint64_t id)
{
	for (uint32_t i = 0; s->routes && i < mt_route_count(s->routes); i++)
		if (mt_route_at(s->routes, i)->id == id)
			return true;
	return false;
}

static void missing(struct words *w, uint32_t *n, const char *sign, const struct mt_service *of,
	const struct mt_service *in)
{
	/* Nobody reads a change of thousands of routes name by name. */
	uint32_t most = of->routes ? MT_MIN(mt_route_count(of->routes), 64u) : 0;

	for (uint32_t i = 0; i < most; i++) {
		const struct mt_route_action *r = mt_route_at(of->routes, i);

		if (!has_route(in, r->id) && (*n)++ < NAMED_MOST)
			say(w, " %s%.64s", sign, r->name ? r->name : "?");
	}
}

static void service_fields(
	struct words *w, const struct mt_service *old, const struct mt_service *new_)
{
	struct words mine = {.len = 0};
	uint32_t n = 0;

	if (old->routes != new_->routes) {
		missing(&mine, &n, "-", old, new_);
		missing(&mine, &n, "+", new_, old);
		field(w, "routes");
		say(w, "%s", n ? mine.text : " destinations");
	}
	number(w, "destinations", old->n_tcp_dests, new_->n_tcp_dests);
	number(w, "filters", old->n_filter_insts, new_->n_filter_insts);
	number(w, "timeout, ms", old->timeout_ms, new_->timeout_ms);
}

void mt_items_service(
	struct mt_conf_items *l, const struct mt_service *old, const struct mt_service *new_)
{
	const struct mt_service *s = new_ ? new_ : old;
	struct words w = {.len = 0};

	if (old && new_)
		service_fields(&w, old, new_);
	add(l, "service",
		!old	? MT_CONF_ADDED
		: !new_ ? MT_CONF_REMOVED
			: MT_CONF_CHANGED,
		s->name, s->file, s->line, w.text);
}

void mt_items_listener(
	struct mt_conf_items *l, const struct mt_listener *old, const struct mt_listener *new_)
{
	const struct mt_listener *it = new_ ? new_ : old;
	struct words w = {.len = 0};
	char text[MT_ADDR_STRLEN];

	if (old && new_) {
		const struct mt_filter_chain_proto *a = old->protos, *b = new_->protos;

		number(&w, "services", a->n_services, b->n_services);
		if (!mt_codec_same(a->codec, b->codec)) {
			field(&w, "protocol");
			say(&w, " %s to %s", a->codec->name, b->codec->name);
		}
	}
	add(l, "listener",
		!old	? MT_CONF_ADDED
		: !new_ ? MT_CONF_REMOVED
			: MT_CONF_CHANGED,
		mt_addr_port_str(&it->addr, it->port, text), it->file, it->line, w.text);
}

void mt_items_forward(
	struct mt_conf_items *l, const struct mt_forward *old, const struct mt_forward *new_)
{
	const struct mt_forward *it = new_ ? new_ : old;
	struct words w = {.len = 0};
	char text[MT_ADDR_STRLEN];

	if (old && new_ && old->mode != new_->mode) {
		field(&w, "mode");
		say(&w, " %s to %s", mt_forwarding_str(old->mode), mt_forwarding_str(new_->mode));
	}
	add(l, "forwarded port",
		!old	? MT_CONF_ADDED
		: !new_ ? MT_CONF_REMOVED
			: MT_CONF_CHANGED,
		mt_addr_port_str(&it->addr, it->port, text), it->file, it->line, w.text);
}
