/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index is two sorted arrays of entries that do not touch each other: networks, and names in
 * the order of their ends, so that all names below one are a range. An answer costs a binary search
 * for each label of the name. `next` skips the entries of one source.
 */
#include "mt_owned.h"

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

struct mt_owned {
	const char *domain; /* of Kubernetes' services */
	struct net *nets;
	struct name *names;
	uint32_t n_nets, n_names;
};

/* ---- hosts ----------------------------------------------------------------------------------- */

/* The number of bytes before ".svc.DOMAIN"; 0: the host does not end in it. */
static size_t before_domain(const char *host, const char *domain)
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

/* Writes the names of one host to `out`; returns their number. */
static uint32_t forms_of(const char *host, const char *domain, char buf[FORMS - 1][MT_MEANT_HOST],
	const char *out[FORMS])
{
	size_t len = strlen(host), whole = before_domain(host, domain);
	const char *dot = strchr(host, '.'), *s;
	uint32_t n = 0;

	out[n++] = host;
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

/* A wildcard that covers the name: ".com" and ".example.com" of "a.example.com". */
static const struct mt_owned_entry *covering(
	const struct mt_owned *o, const struct name *x, uint32_t self)
{
	for (size_t i = x->wild ? 0 : 1; i < x->len; i++) {
		const struct name tail = {.text = x->text + i, .len = x->len - i, .wild = true};
		const struct name *found = x->text[i] == '.' ? same_name(o, &tail) : NULL;

		if (found && others(found, self))
			return found->e;
	}
	return NULL;
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

const struct mt_owned_entry *mt_owned_host(
	const struct mt_owned *o, const char *host, uint32_t self)
{
	char buf[FORMS - 1][MT_MEANT_HOST];
	const char *forms[FORMS];
	uint32_t n = o && o->n_names ? forms_of(host, o->domain, buf, forms) : 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct mt_owned_entry *e = find_form(o, forms[i], self);

		if (e)
			return e;
	}
	return NULL;
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

/* Leaves out an entry that touches one before it, of the same source or against the rules. */
static void leave_out(
	struct making *x, const struct mt_owned_entry *e, const struct mt_owned_entry *before)
{
	if (e->source == before->source || !x->clash)
		return;
	if (e->source > before->source)
		x->clash(x->arg, e, before);
	else
		x->clash(x->arg, before, e);
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

		/* Of two networks that touch each other one contains the other. */
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
	return x.o;
}
