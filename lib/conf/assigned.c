/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of services: those that documents write, and those of 240.240.0.0/16 that hosts without
 * one are assigned (vips.c). A host that was assigned an address keeps it when the document of
 * another host writes it, unless the Node gives the address to a source. If documents and hosts
 * demand more than the network has, each namespace gets its share (fair.c).
 */
#include "mt_conf_priv.h"

#include "mt_owned.h"

static bool is_single(const struct mt_addr *a, uint8_t prefix)
{
	return prefix == (mt_addr_is4(a) ? 32 : 128);
}

static const char *name_of(const struct mt_host *h)
{
	return h->se->hosts[0].s;
}

static const char *namespace_of(const struct mt_host *h)
{
	return h->se->meta.ns;
}

/* True for an address that only objects of one source may write. */
static bool is_owned(const struct mt_build *b, const struct mt_addr *a)
{
	return mt_owned_is_address(b->model->owned, a);
}

/* Another host that is served at the address and keeps it; NULL: none. */
static const char *holder_of(
	const struct mt_build *b, const struct mt_host *h, const struct mt_addr *a)
{
	return is_owned(b, a) ? NULL : mt_vips_holder(&b->conf->vips, b->snap->vips, a, name_of(h));
}

bool mt_b_is_held(const struct mt_build *b, const struct mt_host *h, const struct mt_addr *a)
{
	return holder_of(b, h, a) != NULL;
}

/* ---- before addresses are given -------------------------------------------------------------- */

/* True if the host's document writes an address that no other host holds, readable or not. */
static bool writes_own(const struct mt_build *b, const struct mt_host *h)
{
	for (uint32_t i = 0; i < h->se->n_addresses; i++) {
		struct mt_addr a;
		uint8_t prefix;

		if (mt_prefix_parse(h->se->addresses[i].s, &a, &prefix) ||
			(is_single(&a, prefix) && !holder_of(b, h, &a)))
			return true;
	}
	return false;
}

static bool is_assigned(const struct mt_build *b, const struct mt_host *h)
{
	return mt_host_is_served(h) && !writes_own(b, h);
}

/* The second pass is for hosts with addresses in their documents that other hosts hold. */
static void hold(struct mt_build *b)
{
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < b->n_hosts; i++) {
			struct mt_host *h = &b->host_list[i];

			h->holds = is_assigned(b, h) &&
				   mt_vips_hold(&b->conf->vips, &b->snap->vips, name_of(h));
		}
}

static bool has_bit(const uint64_t *bits, uint32_t n)
{
	return bits[n / 64] >> n % 64 & 1;
}

static void set_bit(uint64_t *bits, uint32_t n)
{
	bits[n / 64] |= 1ull << n % 64;
}

/* Counts each address once, for the first namespace that writes it. */
static void want_written(struct mt_build *b, const struct mt_host *h, uint64_t *wanted)
{
	for (uint32_t i = 0; h->known && i < h->se->n_addresses; i++) {
		struct mt_addr a;
		uint8_t prefix;
		uint32_t n;

		if (mt_prefix_parse(h->se->addresses[i].s, &a, &prefix) || !is_single(&a, prefix))
			continue;
		n = mt_vip_number(&a);
		if (!n || has_bit(wanted, n) || holder_of(b, h, &a))
			continue;
		set_bit(wanted, n);
		mt_fair_want(&b->vip_shares, &b->tmp, namespace_of(h), 1);
	}
}

/* Hosts with an address take from the shares before documents do, and new hosts after them. */
static void share(struct mt_build *b)
{
	uint64_t *wanted = mt_region_alloc(&b->tmp, sizeof(*wanted) * MT_VIP_WORDS);

	for (uint32_t i = 0; wanted && i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];

		if (is_assigned(b, h))
			mt_fair_want(&b->vip_shares, &b->tmp, namespace_of(h), 1);
		want_written(b, h, wanted);
	}
	mt_fair_settle(&b->vip_shares, &b->tmp, MT_VIPS);
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		struct mt_host *h = &b->host_list[i];

		h->has_share = h->holds && mt_fair_take(&b->vip_shares, namespace_of(h), 1);
	}
}

/* ---- addresses of documents ------------------------------------------------------------------ */

static void add_address(struct mt_build *b, struct mt_host *h, const struct mt_addr *a)
{
	struct mt_addr *slot =
		mt_region_push(&b->tmp, (void **)&h->addrs, &h->n_addrs, sizeof(*slot));

	if (slot)
		*slot = *a;
}

/* True if the document may have the address; otherwise the operator is warned. */
static bool may_have(struct mt_build *b, const struct mt_host *h, uint32_t i, const char *path,
	const struct mt_addr *a)
{
	const struct mt_text *t = &h->se->addresses[i];
	const char *holder = holder_of(b, h, a);
	uint32_t n = mt_vip_number(a);

	if (holder) {
		mt_b_warn(b, &h->se->meta, t->line, path,
			"write another address, or first one in the document of that host",
			"\"%.64s\" is not answered: it is assigned to \"%.128s\"", t->s, holder);
		return false;
	}
	if (!n || has_bit(b->vips_written, n) || mt_fair_take(&b->vip_shares, namespace_of(h), 1))
		return true;
	mt_b_warn(b, &h->se->meta, t->line, path, "write fewer of them",
		"\"%.64s\" is not answered: no address is left in 240.240.0.0/16, and namespace "
		"%.64s has its share",
		t->s, namespace_of(h));
	return false;
}

/* Single addresses of one host, at which a listener can be bound; networks are ranges.c's. */
static void written_address(struct mt_build *b, struct mt_host *h, uint32_t i)
{
	const struct mt_text *t = &h->se->addresses[i];
	const struct mt_meta *meta = &h->se->meta;
	char path[MT_INDEX_PATH];
	struct mt_addr a;
	uint8_t prefix;
	int rc = mt_prefix_parse(t->s, &a, &prefix);

	mt_index_path(path, "spec.addresses", i, "");
	if (rc)
		mt_b_error(b, meta, t->line, path, "write it like 240.240.0.1",
			"\"%.64s\" is not an address", t->s);
	else if (!is_single(&a, prefix))
		mt_b_range(b, h, i, &a, prefix);
	else if (!may_have(b, h, i, path, &a))
		return;
	else if (mt_b_serve_address(b, meta, t->line, path, &a)) {
		add_address(b, h, &a);
		mt_b_note_written(b, h, &a);
	}
	/* A network is not an address of a host. */
	h->own_address |= rc || is_single(&a, prefix);
}

void mt_b_note_written(struct mt_build *b, struct mt_host *h, const struct mt_addr *a)
{
	uint32_t n = mt_vip_number(a);

	if (n)
		set_bit(b->vips_written, n);
	if (mt_idmap_put(&b->explicit_addrs, mt_id_of_addr(a), h))
		b->tmp.failed = true;
}

static void write_addresses(struct mt_build *b)
{
	if (mt_idmap_reserve(&b->explicit_addrs, b->n_hosts))
		b->tmp.failed = true;
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		struct mt_host *h = &b->host_list[i];

		for (uint32_t j = 0; h->known && j < h->se->n_addresses; j++)
			written_address(b, h, j);
	}
}

/* ---- addresses that are assigned ------------------------------------------------------------- */

/*
 * True if some document has the address, for any service, or may have it because the Node gives it
 * to a source; or if the host's kernel has it.
 */
static bool is_taken(void *arg, const struct mt_addr *a)
{
	const struct mt_build *b = arg;

	return has_bit(b->vips_written, mt_vip_number(a)) || mt_b_of_kernel(b, a) || is_owned(b, a);
}

static bool needs_address(const struct mt_host *h)
{
	return mt_host_is_served(h) && !h->own_address && !h->n_addrs;
}

/*
 * A host moves only if the kernel answers its clients where it was, or if the Node gives the
 * address to a source.
 */
static void move(struct mt_build *b, const struct mt_host *h, const struct mt_addr *a)
{
	const char *kernel = mt_b_of_kernel(b, a);
	char text[MT_ADDR_STRLEN];

	mt_b_warn(b, &h->se->meta, h->se->hosts[0].line, "spec.hosts[0]",
		kernel ? "remove the address from that interface"
		       : "to keep it, write it in `addresses`, in the source that owns it",
		"it is assigned another address: %s is %s", mt_addr_str(a, text),
		kernel ? kernel : "in `owns` of a source");
}

static void keep_address(struct mt_build *b, struct mt_host *h)
{
	struct mt_addr a;

	h->has_share = h->has_share || mt_fair_take(&b->vip_shares, namespace_of(h), 1);
	if (!h->has_share ||
		!mt_vips_keep(&b->conf->vips, &b->snap->vips, name_of(h), is_taken, b, &a))
		return;
	if (mt_b_of_kernel(b, &a) || is_owned(b, &a))
		move(b, h, &a);
	else
		add_address(b, h, &a);
}

/* True if the Node gives some of the addresses that are assigned to sources. */
static bool some_are_owned(const struct mt_build *b)
{
	struct mt_addr net;
	uint8_t prefix;

	return b->model->owned && mt_prefix_parse("240.240.0.0/16", &net, &prefix) == 0 &&
	       mt_owned_address(b->model->owned, &net, prefix, MT_OWNED_NO_SOURCE);
}

static void give_address(struct mt_build *b, struct mt_host *h)
{
	struct mt_addr a;

	if (h->has_share &&
		mt_vips_give(&b->conf->vips, &b->snap->vips, name_of(h), is_taken, b, &a))
		add_address(b, h, &a);
	else
		mt_b_error(b, &h->se->meta, h->se->hosts[0].line, "spec.hosts[0]",
			some_are_owned(b)
				? "write spec.addresses, or give less of it to sources by "
				  "`owns` of the Node"
				: "write spec.addresses",
			"no address is left in 240.240.0.0/16");
}

void mt_b_addresses(struct mt_build *b)
{
	b->vips_written = mt_region_alloc(&b->tmp, sizeof(*b->vips_written) * MT_VIP_WORDS);
	if (!b->vips_written)
		return;
	hold(b);
	share(b);
	write_addresses(b);
	mt_b_ranges(b);
	/* After all that documents write, and after hosts that have one. */
	for (uint32_t i = 0; i < b->n_hosts; i++)
		if (needs_address(&b->host_list[i]))
			keep_address(b, &b->host_list[i]);
	for (uint32_t i = 0; i < b->n_hosts; i++)
		if (needs_address(&b->host_list[i]))
			give_address(b, &b->host_list[i]);
	mt_b_ranges_add(b);
}
