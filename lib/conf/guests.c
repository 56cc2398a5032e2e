/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual machines of the node: reads the annotations of each WorkloadEntry, then decides between
 * guests that claim one address, Ethernet address or socket.
 */
#include "mt_guests.h"

#include "mt_conf_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES "metadata.annotations"

struct finder {
	struct mt_region *r;
	const struct mt_guest_rules *rules;
	struct mt_strmap claims; /* struct mt_guest_of's entry by "socket PATH", "mac MAC", ... */
	uint32_t accepted;
	struct mt_strmap of_namespace; /* numbers of accepted guests, as pointers */
	int rc;
};

static const struct mt_kv *annotation(const struct mt_workload_entry *e, const char *key)
{
	const struct mt_labels *l = &e->meta.annotations;

	for (uint32_t i = 0; i < l->n_kv; i++)
		if (strcmp(l->kv[i].key, key) == 0)
			return &l->kv[i];
	return NULL;
}

static void mt_printf(6, 7) refuse(struct finder *f, struct mt_guest_of *g, const char *path,
	uint32_t line, const char *remedy, const char *fmt, ...)
{
	va_list args;

	if (g->refused)
		return;
	va_start(args, fmt);
	g->refused = mt_region_vprintf(f->r, fmt, args);
	va_end(args);
	g->path = path;
	g->line = line;
	g->remedy = remedy;
	if (!g->refused)
		f->rc = -ENOMEM;
}

static void refuse_kv(struct finder *f, struct mt_guest_of *g, const struct mt_kv *kv,
	const char *remedy, const char *message)
{
	refuse(f, g, ADDRESSES, kv->origin.line, remedy, "%s: %s", kv->key, message);
}

/* ---- one guest ------------------------------------------------------------------------------ */

/* True for an absolute path with one spelling: without empty parts, "." and "..". */
static bool is_plain_path(const char *path)
{
	if (*path != '/')
		return false;
	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (len == 0 || (len <= 2 && strspn(path, ".") >= len))
			return false;
		path += len;
	}
	return true;
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static bool is_in_directory(const char *path, const char *directory)
{
	size_t len = strlen(directory);

	return strncmp(path, directory, len) == 0 && path[len] == '/' &&
	       !strchr(path + len + 1, '/');
}

static void read_socket(struct finder *f, struct mt_guest_of *g, const struct mt_kv *kv)
{
	const char *directory = f->rules->directory;
	char text[160];

	if (strlen(kv->value) > MT_GUEST_SOCKET_BYTES)
		refuse_kv(f, g, kv, "write a shorter path", "the path has more than 107 bytes");
	else if (!is_plain_path(kv->value) || !is_printable(kv->value))
		refuse_kv(f, g, kv, "write the absolute path, without . and ..",
			"the value is not the path of a socket");
	else if (directory && !is_in_directory(kv->value, directory)) {
		snprintf(text, sizeof(text), "the socket is not in %.100s", directory);
		refuse_kv(f, g, kv, "move the hypervisor's socket there", text);
	}
	g->socket = kv->value;
}

static void read_mac(struct finder *f, struct mt_guest_of *g)
{
	const struct mt_kv *kv = annotation(g->entry, MT_GUEST_KEY_MAC);
	const struct mt_node_guests *guests = f->rules->guests;

	if (!kv)
		refuse(f, g, ADDRESSES, g->entry->meta.origin.line,
			"write the Ethernet address of the guest's card",
			"it has no " MT_GUEST_KEY_MAC);
	else if (mt_mac_parse(kv->value, g->mac))
		refuse_kv(f, g, kv, "write it in quotes, like \"52:54:00:12:34:56\"",
			"the value is not the Ethernet address of a station");
	else if (guests->mac_text.s && memcmp(g->mac, guests->mac, sizeof(g->mac)) == 0)
		refuse_kv(f, g, kv, "give the guest another Ethernet address",
			"the address is the node's own on guests' ports");
}

static const struct mt_guest_network *network_of(const struct finder *f, const struct mt_addr *a)
{
	const struct mt_node_guests *guests = f->rules->guests;

	for (uint32_t i = 0; i < guests->n_networks; i++) {
		const struct mt_node_addr *net = &guests->networks[i].address;

		if (mt_prefix_contains(&net->addr, net->prefix, a))
			return &guests->networks[i];
	}
	return NULL;
}

/* Returns the reason why the guest cannot have the address; NULL: it can. */
static const char *bad_address(
	const struct finder *f, const struct mt_guest_of *g, const struct mt_addr *a)
{
	const struct mt_guest_network *net = network_of(f, a);

	if (mt_addr_unusable(a))
		return mt_addr_unusable(a);
	if (!net)
		return "in none of the Node's spec.guests.networks";
	if (mt_addr_eq(a, &net->address.addr))
		return "the node's own address in the network";
	for (uint32_t i = 0; i < g->n_addresses; i++)
		if (mt_addr_eq(a, &g->addresses[i]))
			return "written twice";
	return mt_addr_not_a_host(a, net->address.prefix);
}

static void add_address(struct finder *f, struct mt_guest_of *g, const char *path, uint32_t line,
	const struct mt_addr *a)
{
	const char *why = bad_address(f, g, a);
	char text[MT_ADDR_STRLEN];

	if (why)
		refuse(f, g, path, line, "write an address that only this guest has", "%s is %s",
			mt_addr_str(a, text), why);
	else if (g->n_addresses == MT_GUEST_ADDRESSES_MAX)
		refuse(f, g, path, line, "remove some", "it has more than %u addresses",
			MT_GUEST_ADDRESSES_MAX);
	else
		g->addresses[g->n_addresses++] = *a;
}

static void read_more_addresses(struct finder *f, struct mt_guest_of *g, const struct mt_kv *kv)
{
	const char *text = kv->value;

	while (!g->refused) {
		char one[MT_ADDR_STRLEN];
		size_t len;
		struct mt_addr a;

		text += strspn(text, " ");
		len = strcspn(text, ",");
		snprintf(one, sizeof(one), "%.*s", (int)MT_MIN(len, sizeof(one) - 1), text);
		if (len >= sizeof(one) || mt_addr_parse(one, &a))
			refuse_kv(f, g, kv, "write addresses with commas between them",
				"the value is not a list of addresses");
		else
			add_address(f, g, ADDRESSES, kv->origin.line, &a);
		text += len;
		if (!*text++)
			return;
	}
}

static void read_addresses(struct finder *f, struct mt_guest_of *g)
{
	const struct mt_kv *more = annotation(g->entry, MT_GUEST_KEY_ADDRESSES);
	const struct mt_workload *w = &g->entry->w;

	g->addresses = mt_region_alloc(f->r, sizeof(*g->addresses) * MT_GUEST_ADDRESSES_MAX);
	if (!g->addresses) {
		f->rc = -ENOMEM;
		return;
	}
	if (mt_addr_is_zero(&w->address))
		refuse(f, g, "spec.address", w->address_text.line, "write its IP address",
			"a guest needs an address");
	else
		add_address(f, g, "spec.address", w->address_text.line, &w->address);
	if (more)
		read_more_addresses(f, g, more);
}

static void read_limits(struct finder *f, struct mt_guest_of *g)
{
	const struct mt_kv *kv = annotation(g->entry, MT_GUEST_KEY_LIMITS);
	const char *wrong;
	char why[256];

	if (!kv) {
		if (f->rules->guests->limits)
			g->limits = *f->rules->guests->limits;
		return;
	}
	wrong = mt_guest_limits_parse(kv->value, kv->origin.line, &g->limits, why, sizeof(why));
	if (wrong)
		refuse_kv(f, g, kv, "correct or remove it", wrong);
	g->limits.origin.file = kv->origin.file;
}

/* ---- claims --------------------------------------------------------------------------------- */

bool mt_guest_claim(const struct mt_guest_of *g, uint32_t i, char text[MT_GUEST_CLAIM_MAX])
{
	char a[MT_ADDR_STRLEN];

	if (i == 0)
		snprintf(text, MT_GUEST_CLAIM_MAX, "socket %s", g->socket);
	else if (i == 1)
		snprintf(text, MT_GUEST_CLAIM_MAX, "Ethernet address %02x:%02x:%02x:%02x:%02x:%02x",
			g->mac[0], g->mac[1], g->mac[2], g->mac[3], g->mac[4], g->mac[5]);
	else if (i - 2 < g->n_addresses)
		snprintf(text, MT_GUEST_CLAIM_MAX, "address %s",
			mt_addr_str(&g->addresses[i - 2], a));
	else
		return false;
	return true;
}

static uint32_t claim_line(const struct mt_guest_of *g, uint32_t i)
{
	const char *const keys[] = {MT_GUEST_KEY_SOCKET, MT_GUEST_KEY_MAC};
	const struct mt_kv *kv = annotation(g->entry, i < 2 ? keys[i] : MT_GUEST_KEY_ADDRESSES);

	return i == 2 || !kv ? g->entry->w.address_text.line : kv->origin.line;
}

static uintptr_t number_in(const struct finder *f, const char *ns)
{
	return (uintptr_t)mt_strmap_get(&f->of_namespace, ns);
}

/* One author of a limited source cannot take the places of all others. */
static void find_place(struct finder *f, struct mt_guest_of *g)
{
	const struct mt_meta *meta = &g->entry->meta;

	if (f->accepted == MT_GUESTS_MAX)
		refuse(f, g, ADDRESSES, meta->origin.line, "remove some",
			"the node has %u guests already", MT_GUESTS_MAX);
	else if (f->rules->is_limited && number_in(f, meta->ns) >= MT_GUESTS_OF_NAMESPACE &&
		 f->rules->is_limited(f->rules->arg, g->entry))
		refuse(f, g, ADDRESSES, meta->origin.line,
			"remove some, or write it in a source without namespaces",
			"namespace %.64s has %u guests already", meta->ns, MT_GUESTS_OF_NAMESPACE);
}

static void count_in(struct finder *f, const struct mt_guest_of *g)
{
	const char *ns = g->entry->meta.ns;

	f->accepted++;
	if (mt_strmap_put(&f->of_namespace, ns, (void *)(number_in(f, ns) + 1), NULL))
		f->rc = -ENOMEM;
}

static void claim_all(struct finder *f, struct mt_guest_of *g)
{
	char key[MT_GUEST_CLAIM_MAX];

	for (uint32_t i = 0; mt_guest_claim(g, i, key); i++) {
		const struct mt_workload_entry *has = mt_strmap_get(&f->claims, key);

		if (!has)
			continue;
		g->lost = true;
		refuse(f, g, i == 2 ? "spec.address" : ADDRESSES, claim_line(g, i),
			"give each guest its own", "WorkloadEntry %.64s/%.64s already has %s",
			has->meta.ns, has->meta.name, key);
	}
	if (!g->refused)
		find_place(f, g);
	if (g->refused || f->rc)
		return;
	count_in(f, g);
	for (uint32_t i = 0; mt_guest_claim(g, i, key); i++) {
		char *kept = mt_region_strdup(f->r, key);

		if (!kept || mt_strmap_put(&f->claims, kept, (void *)g->entry, NULL))
			f->rc = -ENOMEM;
	}
}

/* A guest in the order in which claims are decided. */
struct turn {
	unsigned int standing;
	uint32_t at; /* place in mt_guests_found.v */
};

static int by_standing(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->standing != y->standing)
		return x->standing < y->standing ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

/* Returns the worst standing of all that the guest claims. */
static unsigned int standing_of(const struct finder *f, const struct mt_guest_of *g)
{
	unsigned int worst = 0;
	char key[MT_GUEST_CLAIM_MAX];

	for (uint32_t i = 0; f->rules->standing && mt_guest_claim(g, i, key); i++) {
		unsigned int one = f->rules->standing(f->rules->arg, g->entry, key);

		worst = MT_MAX(worst, one);
	}
	return worst;
}

static void decide_claims(struct finder *f, struct mt_guests_found *out)
{
	struct turn *turns = mt_region_alloc(f->r, sizeof(*turns) * (out->n + 1));
	uint32_t n = 0;

	if (!turns) {
		f->rc = -ENOMEM;
		return;
	}
	for (uint32_t i = 0; i < out->n; i++)
		if (!out->v[i].refused)
			turns[n++] = (struct turn){standing_of(f, &out->v[i]), i};
	qsort(turns, n, sizeof(*turns), by_standing);
	for (uint32_t i = 0; i < n && !f->rc; i++)
		claim_all(f, &out->v[turns[i].at]);
	for (uint32_t i = 0; i < out->n; i++)
		out->n_refused += out->v[i].refused != NULL;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void read_guest(struct finder *f, struct mt_guest_of *g, const struct mt_kv *socket)
{
	read_socket(f, g, socket);
	read_mac(f, g);
	read_addresses(f, g);
	read_limits(f, g);
}

static bool is_elsewhere(const struct finder *f, const struct mt_workload_entry *e)
{
	const struct mt_kv *node = annotation(e, MT_GUEST_KEY_NODE);

	return node && strcmp(node->value, f->rules->node) != 0;
}

int mt_guests_find(struct mt_region *r, const struct mt_guest_rules *rules,
	const struct mt_workload_entry *const *entries, uint32_t n, struct mt_guests_found *out)
{
	struct finder f = {.r = r, .rules = rules};

	*out = (struct mt_guests_found){0};
	for (uint32_t i = 0; i < n && !f.rc; i++) {
		const struct mt_kv *socket = annotation(entries[i], MT_GUEST_KEY_SOCKET);
		struct mt_guest_of *g;

		if (!socket || is_elsewhere(&f, entries[i]))
			continue;
		g = mt_region_push(r, (void **)&out->v, &out->n, sizeof(*g));
		if (!g) {
			f.rc = -ENOMEM;
			break;
		}
		g->entry = entries[i];
		read_guest(&f, g, socket);
	}
	if (!f.rc)
		decide_claims(&f, out);
	mt_strmap_fini(&f.claims);
	mt_strmap_fini(&f.of_namespace);
	return f.rc;
}
