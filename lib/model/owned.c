/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index is sorted arrays of entries that do not overlap each other: networks, names in the
 * order of their ends, so that all names below one are a range, and the Services that wildcards
 * cover. An answer costs a binary search for each form of the name, however many labels it has.
 * `next` skips the entries of one source.
 */
#include "mt_owned_priv.h"

#include "mt_idmap.h"
#include "mt_meant.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The host as written, its long name or short ones. */
#define FORMS 3

struct net {
	struct mt_addr first, last;
	const struct mt_owned_entry *e;
	uint32_t next; /* the first entry after this one of another source */
	bool is4;
};

struct name {
	const char *text; /* a whole name, or of a wildcard what follows the star: ".example.com" */
	size_t len;
	const struct mt_owned_entry *e;
	uint32_t next;
	bool wild;
};

/* The Services, NAME.ns, that a wildcard covers by any of their names; len 0: of all namespaces. */
struct services {
	const char *ns;
	size_t len;
	const struct mt_owned_entry *e;
};

struct mt_owned {
	const char *domain;			/* of Kubernetes' services */
	const struct mt_owned_clients *clients; /* NULL: the node does not answer DNS */
	struct net *nets;
	struct name *names;
	struct services *services;
	uint32_t n_nets, n_names, n_services;
	uint32_t second; /* the first of `services` of another source than services[0] */
};

/* ---- hosts ----------------------------------------------------------------------------------- */

size_t mt_owned_before_domain(const char *host, const char *domain)
{
	static const char svc[] = ".svc.";
	size_t len = strlen(host), n = strlen(domain) + strlen(svc);

	if (len <= n || strncasecmp(host + len - n, svc, strlen(svc)) != 0 ||
		strcasecmp(host + len - strlen(domain), domain) != 0)
		return 0;
	return len - n;
}

/* True for NAME.NAMESPACE. */
static bool has_one_dot(const char *text, size_t len)
{
	const char *dot = memchr(text, '.', len);

	return dot && dot > text && dot + 1 < text + len &&
	       !memchr(dot + 1, '.', (size_t)(text + len - dot - 1));
}

/* NAME.NAMESPACE, and with `svc` NAME.NAMESPACE.svc, in `buf`; NULL: it is too long. */
static const char *short_name(const char *host, size_t len, bool svc, char buf[MT_MEANT_HOST])
{
	static const char end[] = ".svc";

	if (len + sizeof(end) > MT_MEANT_HOST)
		return NULL;
	memcpy(buf, host, len);
	memcpy(buf + len, svc ? end : "", svc ? sizeof(end) : 1);
	return buf;
}

/*
 * Writes the names of one host to `out`; returns their number. A wildcard has only the one that is
 * written: its star may stand for several labels, which no Service has.
 */
static uint32_t forms_of(const char *host, const char *domain, char buf[FORMS - 1][MT_MEANT_HOST],
	const char *out[FORMS])
{
	size_t len = strlen(host), whole = mt_owned_before_domain(host, domain);
	const char *dot = strchr(host, '.'), *s;
	uint32_t n = 0;

	out[n++] = host;
	if (host[0] == '*')
		return n;
	if (whole && has_one_dot(host, whole)) {
		s = short_name(host, whole, false, buf[0]);
		if (s)
			out[n++] = s;
		s = short_name(host, whole, true, buf[1]);
		if (s)
			out[n++] = s;
		return n;
	}
	/* A name without a dot is of the namespace of each document that has it. */
	if (!dot || !mt_long_name(host, "", domain, buf[0], MT_MEANT_HOST))
		return n;
	out[n++] = buf[0];
	s = strchr(dot + 1, '.') ? short_name(host, len - strlen(".svc"), false, buf[1])
				 : short_name(host, len, true, buf[1]);
	if (s)
		out[n++] = s;
	return n;
}

/* True for what is the end of ".svc.DOMAIN", from a dot on. */
static bool ends_domain(const struct name *x, const char *domain)
{
	static const char svc[] = ".svc.";
	size_t n = strlen(domain);

	if (x->len <= n)
		return strcasecmp(domain + n - x->len, x->text) == 0;
	if (x->len == n + 1)
		return strcasecmp(x->text + 1, domain) == 0;
	return x->len == n + strlen(svc) && strncasecmp(x->text, svc, strlen(svc)) == 0 &&
	       strcasecmp(x->text + strlen(svc), domain) == 0;
}

/* The Services that a wildcard covers. False: it covers none, or is a whole name. */
static bool services_of(const struct name *x, const char *domain, struct services *out)
{
	static const char svc[] = ".svc";
	size_t len = mt_owned_before_domain(x->text, domain), n = strlen(svc);

	if (!x->wild || x->text[0] != '.')
		return false;
	*out = (struct services){.ns = ""};
	if (strcmp(x->text, svc) == 0 || ends_domain(x, domain))
		return true;
	if (!len)
		len = x->len > n && strcmp(x->text + x->len - n, svc) == 0 ? x->len - n : x->len;
	*out = (struct services){.ns = x->text + 1, .len = len - 1};
	return len > 1 && !memchr(out->ns, '.', out->len);
}

static int by_services(const void *a, const void *b)
{
	const struct services *x = a, *y = b;
	int order = memcmp(x->ns, y->ns, MT_MIN(x->len, y->len));

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static struct name name_of(const char *host)
{
	bool wild = host[0] == '*';

	return (struct name){.text = host + wild, .len = strlen(host + wild), .wild = wild};
}

/* Compares from the last byte on; a shorter name precedes those that end in it. */
static int by_end(const struct name *a, const struct name *b)
{
	size_t n = MT_MIN(a->len, b->len);

	for (size_t i = 1; i <= n; i++) {
		unsigned char x = (unsigned char)a->text[a->len - i];
		unsigned char y = (unsigned char)b->text[b->len - i];

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a->len > b->len) - (a->len < b->len);
}

static bool ends_in(const struct name *a, const struct name *end)
{
	return a->len >= end->len && memcmp(a->text + a->len - end->len, end->text, end->len) == 0;
}

/* The first name that does not precede this one. */
static uint32_t find_name(const struct mt_owned *o, const struct name *x)
{
	uint32_t low = 0, high = o->n_names;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (by_end(&o->names[mid], x) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The entry of another source at a place of the array; NULL: there is none. */
static const struct mt_owned_entry *others(const struct name *x, uint32_t self)
{
	return x->e->source != self ? x->e : NULL;
}

/* An entry of exactly this text; NULL: there is none. */
static const struct name *same_name(const struct mt_owned *o, const struct name *x)
{
	uint32_t i = find_name(o, x);

	return i < o->n_names && o->names[i].wild == x->wild && by_end(&o->names[i], x) == 0
		       ? &o->names[i]
		       : NULL;
}

/* The star of a wildcard stands for a character at least. */
static const struct mt_owned_entry *covered(
	const struct mt_owned *o, const struct name *x, uint32_t self)
{
	uint32_t i = find_name(o, x);

	if (i < o->n_names && !o->names[i].wild && by_end(&o->names[i], x) == 0)
		i++;
	for (; i < o->n_names && ends_in(&o->names[i], x); i = o->names[i].next)
		if (others(&o->names[i], self))
			return o->names[i].e;
	return NULL;
}

/*
 * A wildcard that covers the name: ".com" or ".example.com" of "a.example.com". All names in the
 * order between a wildcard and the name would end in it, and the index has none of them, so it is
 * the last one before the name.
 */
static const struct mt_owned_entry *covering(
	const struct mt_owned *o, const struct name *x, uint32_t self)
{
	uint32_t i = find_name(o, x);
	const struct name *last = i ? &o->names[i - 1] : NULL;

	return last && last->wild && ends_in(x, last) ? others(last, self) : NULL;
}

static const struct mt_owned_entry *find_form(
	const struct mt_owned *o, const char *host, uint32_t self)
{
	const struct name x = name_of(host);
	const struct mt_owned_entry *e = NULL;

	if (x.wild) {
		e = covered(o, &x, self);
	} else {
		const struct name *same = same_name(o, &x);

		e = same ? others(same, self) : NULL;
	}
	return e ? e : covering(o, &x, self);
}

/* An entry with some of these Services. */
static const struct mt_owned_entry *find_services(
	const struct mt_owned *o, const struct services *x, uint32_t self)
{
	const struct services *found = NULL;

	if (!o->n_services)
		return NULL;
	/* All entries are of one source, if the first one is for all namespaces. */
	if (!x->len || !o->services[0].len) {
		if (o->services[0].e->source != self)
			return o->services[0].e;
		return !x->len && o->second < o->n_services ? o->services[o->second].e : NULL;
	}
	found = bsearch(x, o->services, o->n_services, sizeof(*x), by_services);
	return found && found->e->source != self ? found->e : NULL;
}

const struct mt_owned_entry *mt_owned_host(
	const struct mt_owned *o, const char *host, uint32_t self)
{
	char buf[FORMS - 1][MT_MEANT_HOST];
	const char *forms[FORMS];
	uint32_t n = o && o->n_names ? forms_of(host, o->domain, buf, forms) : 0;
	const struct name x = name_of(host);
	struct services s;

	for (uint32_t i = 0; i < n; i++) {
		const struct mt_owned_entry *e = find_form(o, forms[i], self);

		if (e)
			return e;
	}
	return n && services_of(&x, o->domain, &s) ? find_services(o, &s, self) : NULL;
}

const struct mt_owned_entry *mt_owned_name(
	const struct mt_owned *o, const char *host, uint32_t self)
{
	const struct mt_owned_entry *e = mt_owned_host(o, host, self);

	return e || !o || !o->clients ? e : mt_owned_of_clients(o->clients, host, self);
}

/* ---- networks -------------------------------------------------------------------------------- */

/* The first address of a network, or with `bit` the last one. */
static struct mt_addr edge_of(const struct mt_addr *a, uint8_t prefix, bool bit)
{
	struct mt_addr edge = *a;

	for (unsigned int i = mt_addr_is4(a) ? 96u + prefix : prefix; i < 128; i++) {
		uint8_t mask = (uint8_t)(1u << (7 - i % 8));

		edge.b[i / 8] = bit ? edge.b[i / 8] | mask : edge.b[i / 8] & (uint8_t)~mask;
	}
	return edge;
}

bool mt_owned_has_host_bits(const struct mt_addr *a, uint8_t prefix)
{
	const struct mt_addr first = edge_of(a, prefix, false);

	return !mt_addr_eq(&first, a);
}

static struct net net_of(const struct mt_addr *a, uint8_t prefix)
{
	return (struct net){.first = edge_of(a, prefix, false),
		.last = edge_of(a, prefix, true),
		.is4 = mt_addr_is4(a)};
}

static int compare(const struct mt_addr *a, const struct mt_addr *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

const struct mt_owned_entry *mt_owned_address(
	const struct mt_owned *o, const struct mt_addr *a, uint8_t prefix, uint32_t self)
{
	const struct net x = net_of(a, prefix);
	uint32_t low = 0, high = o ? o->n_nets : 0;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct net *m = &o->nets[mid];

		if (m->is4 < x.is4 || (m->is4 == x.is4 && compare(&m->last, &x.first) < 0))
			low = mid + 1;
		else
			high = mid;
	}
	for (; o && low < o->n_nets; low = o->nets[low].next) {
		const struct net *m = &o->nets[low];

		if (m->is4 != x.is4 || compare(&m->first, &x.last) > 0)
			break;
		if (m->e->source != self)
			return m->e;
	}
	return NULL;
}

/* ---- making it ------------------------------------------------------------------------------- */

struct making {
	struct mt_region *r;
	struct mt_owned *o;
	mt_owned_clash_fn *clash;
	void *arg;
	struct mt_idmap reported; /* pairs of entries */
};

static const struct mt_owned_entry *new_entry(
	struct making *x, uint32_t source, uint32_t at, bool host, const struct mt_text *text)
{
	struct mt_owned_entry *e = mt_region_alloc(x->r, sizeof(*e));

	if (e)
		*e = (struct mt_owned_entry){source, at, host, text};
	return e;
}

static void add_net(struct making *x, const struct mt_owned_entry *e, const struct mt_node_addr *a)
{
	struct mt_owned *o = x->o;
	struct net *slot = mt_region_push(x->r, (void **)&o->nets, &o->n_nets, sizeof(*slot));

	if (!slot)
		return;
	*slot = net_of(&a->addr, a->prefix);
	slot->e = e;
}

static void add_services(struct making *x, const struct mt_owned_entry *e)
{
	const struct name n = name_of(e->text->s);
	struct mt_owned *o = x->o;
	struct services s, *slot;

	if (!services_of(&n, o->domain, &s))
		return;
	slot = mt_region_push(x->r, (void **)&o->services, &o->n_services, sizeof(*slot));
	if (!slot)
		return;
	*slot = s;
	slot->e = e;
}

static void add_host(struct making *x, const struct mt_owned_entry *e)
{
	struct mt_owned *o = x->o;
	char buf[FORMS - 1][MT_MEANT_HOST];
	const char *forms[FORMS];
	uint32_t n = forms_of(e->text->s, o->domain, buf, forms);

	for (uint32_t i = 0; i < n; i++) {
		struct name *slot =
			mt_region_push(x->r, (void **)&o->names, &o->n_names, sizeof(*slot));
		const char *text = i ? mt_region_strdup(x->r, forms[i]) : forms[i];

		if (!slot)
			return;
		*slot = name_of(text ? text : "");
		slot->e = e;
	}
	add_services(x, e);
}

static void add_source(struct making *x, const struct mt_node_source *s, uint32_t source)
{
	for (uint32_t i = 0; i < s->owns->n_addresses; i++) {
		const struct mt_owned_entry *e =
			new_entry(x, source, i, false, &s->owns->addresses[i].text);

		if (e && e->text->s)
			add_net(x, e, &s->owns->addresses[i]);
	}
	for (uint32_t i = 0; i < s->owns->n_hosts; i++) {
		const struct mt_owned_entry *e = new_entry(x, source, i, true, &s->owns->hosts[i]);

		if (e && e->text->s)
			add_host(x, e);
	}
}

/* More than a list has entries. */
#define LIST_MAX (1u << 16)

/* The entry's number among those of all sources, less than 2^32. */
static uint64_t number_of(const struct mt_owned_entry *e)
{
	return ((uint64_t)e->source * 2 + e->host) * LIST_MAX + e->at + 1;
}

/* The names of one host may overlap several times: a pair is reported once. */
static void report(
	struct making *x, const struct mt_owned_entry *e, const struct mt_owned_entry *first)
{
	uint64_t pair = number_of(e) << 32 | number_of(first);

	if (mt_idmap_get(&x->reported, pair))
		return;
	if (mt_idmap_put(&x->reported, pair, x))
		x->r->failed = true;
	x->clash(x->arg, e, first);
}

/* Leaves out an entry that overlaps one before it, of the same source or against the rules. */
static void leave_out(
	struct making *x, const struct mt_owned_entry *e, const struct mt_owned_entry *before)
{
	if (e->source == before->source || !x->clash)
		return;
	if (e->source > before->source)
		report(x, e, before);
	else
		report(x, before, e);
}

static int by_net(const void *a, const void *b)
{
	const struct net *x = a, *y = b;
	int order = x->is4 - y->is4;

	if (!order)
		order = compare(&x->first, &y->first);
	/* The larger network first. */
	if (!order)
		order = compare(&y->last, &x->last);
	return order ? order : (x->e->source > y->e->source) - (x->e->source < y->e->source);
}

static void sort_nets(struct making *x)
{
	struct mt_owned *o = x->o;
	uint32_t n = 0;

	if (o->n_nets)
		qsort(o->nets, o->n_nets, sizeof(*o->nets), by_net);
	for (uint32_t i = 0; i < o->n_nets; i++) {
		const struct net *last = n ? &o->nets[n - 1] : NULL;

		/* Of two networks that overlap one contains the other. */
		if (last && last->is4 == o->nets[i].is4 &&
			compare(&o->nets[i].first, &last->last) <= 0)
			leave_out(x, o->nets[i].e, last->e);
		else
			o->nets[n++] = o->nets[i];
	}
	o->n_nets = n;
	for (uint32_t i = n; i-- > 0;)
		o->nets[i].next = i + 1 < n && o->nets[i].e->source == o->nets[i + 1].e->source
					  ? o->nets[i + 1].next
					  : i + 1;
}

static int by_name(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = by_end(x, y);

	return order ? order : (x->e->source > y->e->source) - (x->e->source < y->e->source);
}

static void sort_names(struct making *x)
{
	struct mt_owned *o = x->o;
	const struct name *wild = NULL;
	uint32_t n = 0;

	if (o->n_names)
		qsort(o->names, o->n_names, sizeof(*o->names), by_name);
	for (uint32_t i = 0; i < o->n_names; i++) {
		const struct name *one = &o->names[i], *last = n ? &o->names[n - 1] : NULL;

		if (wild && ends_in(one, wild)) {
			leave_out(x, one->e, wild->e);
		} else if (last && by_end(one, last) == 0) {
			leave_out(x, one->e, last->e);
		} else {
			o->names[n] = *one;
			wild = o->names[n].wild ? &o->names[n] : wild;
			n++;
		}
	}
	o->n_names = n;
	for (uint32_t i = n; i-- > 0;)
		o->names[i].next = i + 1 < n && o->names[i].e->source == o->names[i + 1].e->source
					   ? o->names[i + 1].next
					   : i + 1;
}

static int by_services_and_source(const void *a, const void *b)
{
	const struct services *x = a, *y = b;
	int order = by_services(x, y);

	return order ? order : (x->e->source > y->e->source) - (x->e->source < y->e->source);
}

static void sort_services(struct making *x)
{
	struct mt_owned *o = x->o;
	uint32_t n = 0;

	if (o->n_services)
		qsort(o->services, o->n_services, sizeof(*o->services), by_services_and_source);
	for (uint32_t i = 0; i < o->n_services; i++) {
		const struct services *one = &o->services[i];

		if (n && (!o->services[0].len || by_services(&o->services[n - 1], one) == 0))
			leave_out(x, one->e, o->services[n - 1].e);
		else
			o->services[n++] = *one;
	}
	o->n_services = n;
	while (o->second < n && o->services[o->second].e->source == o->services[0].e->source)
		o->second++;
}

struct mt_owned *mt_owned_new(
	struct mt_region *r, const struct mt_node *n, mt_owned_clash_fn *clash, void *arg)
{
	struct making x = {.r = r, .clash = clash, .arg = arg};

	for (uint32_t i = 0; i < n->n_sources; i++) {
		if (!n->sources[i].owns)
			continue;
		if (!x.o)
			x.o = mt_region_alloc(r, sizeof(*x.o));
		if (!x.o)
			return NULL;
		x.o->domain = mt_node_domain(n);
		add_source(&x, &n->sources[i], i);
	}
	if (!x.o || r->failed)
		return NULL;
	sort_nets(&x);
	sort_names(&x);
	sort_services(&x);
	if (n->dns && x.o->n_names)
		x.o->clients = mt_owned_clients_new(r, n, x.o);
	mt_idmap_fini(&x.reported);
	return r->failed ? NULL : x.o;
}
