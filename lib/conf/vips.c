/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses for services that have none in their documents: 240.240.n/255.n%255. A host keeps its
 * address as long as it exists, also over restarts (vips_file.c), and after its removal, for its
 * return. When all 64,770 are assigned, a new host gets that of the host that has been gone
 * longest. An address in a document is never assigned to another host, and a document does not get
 * the address that another host is served at (assigned.c).
 * - A compilation only notes what it would assign (mt_snap.vips), so a refused one takes no address
 *   from a host.
 * - lib/service writes the file before the snapshot is published, once for all its hosts; the
 *   publish returns -EINPROGRESS and is repeated when the file is there. The file may contain more
 *   than was ever published, if the snapshot is given up after the write or the machine stops; it
 *   never contains less. After such a write the next publish waits for a new file even if it
 *   assigns no address (mt_vips_disk.ahead).
 * - A damaged file is refused with the remedy and is not replaced.
 */
#include "mt_conf_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static struct mt_addr addr_of(uint32_t n)
{
	return mt_addr4(htonl(0xf0f00000u | (n / 255) << 8 | n % 255));
}

uint32_t mt_vip_number(const struct mt_addr *a)
{
	uint32_t v = mt_addr_is4(a) ? ntohl(mt_addr_v4(a)) : 0;
	uint32_t n = (v >> 8 & 0xff) * 255 + (v & 0xff);

	return v >> 16 == 0xf0f0 && (v & 0xff) % 255 && n < MT_VIP_MAX ? n : 0;
}

struct mt_addr mt_vip_addr(const struct mt_vip *vip)
{
	return addr_of(vip->n);
}

static int init(struct mt_vips *v)
{
	if (v->by_n)
		return 0;
	v->by_n = calloc(MT_VIP_MAX, sizeof(struct mt_vip *));
	v->next = 1;
	return v->by_n ? 0 : -ENOMEM;
}

void mt_vips_fini(struct mt_vips *v)
{
	for (uint32_t n = 0; v->by_n && n < MT_VIP_MAX; n++)
		free(v->by_n[n]);
	mt_strmap_fini(&v->by_host);
	free(v->by_n);
	*v = (struct mt_vips){0};
}

static struct mt_vip *new_vip(const char *host, uint32_t n)
{
	size_t len = strlen(host) + 1;
	struct mt_vip *vip = malloc(sizeof(*vip) + len);

	if (!vip)
		return NULL;
	vip->gone = 0;
	vip->n = n;
	memcpy(vip->host, host, len);
	return vip;
}

/* Both ways at once: by host for the service, by number for who is free. */
static int put(struct mt_vips *v, struct mt_vip *vip)
{
	if (v->by_n[vip->n] || mt_strmap_get(&v->by_host, vip->host))
		return -EINVAL;
	if (mt_strmap_put(&v->by_host, vip->host, vip, NULL))
		return -ENOMEM;
	v->by_n[vip->n] = vip;
	return 0;
}

int mt_vips_put(struct mt_vips *v, const char *host, const struct mt_addr *a)
{
	uint32_t n = mt_vip_number(a);
	struct mt_vip *vip;
	int rc;

	if (!n || init(v))
		return -EINVAL;
	vip = new_vip(host, n);
	rc = vip ? put(v, vip) : -ENOMEM;
	if (rc)
		free(vip);
	return rc;
}

void mt_vips_left(struct mt_vips *v, const char *host)
{
	struct mt_vip *vip = mt_strmap_get(&v->by_host, host);

	if (vip && !vip->gone)
		vip->gone = ++v->left;
}

/* ---- one compile ------------------------------------------------------------------------------- */

static struct mt_vips_build *building(struct mt_vips_build **b)
{
	if (!*b)
		*b = calloc(1, sizeof(**b));
	return *b;
}

void mt_vips_build_free(struct mt_vips_build *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; i < b->n_added; i++)
		free(b->added[i]);
	free(b->added);
	free(b->again);
	free(b);
}

static bool is_used(const struct mt_vips_build *b, uint32_t n)
{
	return b && b->used[n / 64] >> n % 64 & 1;
}

static bool is_held(const struct mt_vips_build *b, uint32_t n)
{
	return b && b->held[n / 64] >> n % 64 & 1;
}

bool mt_vips_hold(struct mt_vips *v, struct mt_vips_build **build, const char *host)
{
	const struct mt_vip *vip = mt_strmap_get(&v->by_host, host);
	struct mt_vips_build *b = vip && !vip->gone ? building(build) : NULL;

	if (b)
		b->held[vip->n / 64] |= 1ull << vip->n % 64;
	return b != NULL;
}

const char *mt_vips_holder(const struct mt_vips *v, const struct mt_vips_build *build,
	const struct mt_addr *a, const char *host)
{
	uint32_t n = mt_vip_number(a);

	if (!n || !is_held(build, n) || strcmp(v->by_n[n]->host, host) == 0)
		return NULL;
	return v->by_n[n]->host;
}

static void use(struct mt_vips_build *b, uint32_t n)
{
	b->used[n / 64] |= 1ull << n % 64;
}

bool mt_vips_keep(struct mt_vips *v, struct mt_vips_build **build, const char *host,
	mt_vip_taken_fn *taken, void *arg, struct mt_addr *out)
{
	const struct mt_vip *vip = mt_strmap_get(&v->by_host, host);
	struct mt_vips_build *b = building(build);

	if (!vip || !b)
		return false;
	*out = addr_of(vip->n);
	if (!is_held(b, vip->n) && taken(arg, out))
		return false;
	use(b, vip->n);
	return true;
}

/* A number that nobody was ever given, or whose host has another one by now; 0: there is none. */
static uint32_t find_free(
	const struct mt_vips *v, struct mt_vips_build *b, mt_vip_taken_fn *taken, void *arg)
{
	uint32_t from = b->next ? b->next : v->next;

	for (uint32_t i = 0; i < MT_VIP_MAX && !b->full; i++) {
		uint32_t n = (from + i) % MT_VIP_MAX;
		struct mt_addr a = addr_of(n);

		if (n % 255 == 0 || v->by_n[n] || is_used(b, n) || taken(arg, &a))
			continue;
		b->next = n + 1;
		return n;
	}
	b->full = true;
	return 0;
}

/* Longest gone first; who goes with this very load comes last. */
int mt_vip_by_gone(const void *x, const void *y)
{
	const struct mt_vip *a = *(struct mt_vip *const *)x, *b = *(struct mt_vip *const *)y;

	if (a->gone != b->gone)
		return a->gone - 1 < b->gone - 1 ? -1 : 1;
	return a->n < b->n ? -1 : a->n > b->n;
}

static int list_gone(const struct mt_vips *v, struct mt_vips_build *b)
{
	b->again = calloc(MT_VIP_MAX, sizeof(struct mt_vip *));
	if (!b->again)
		return -ENOMEM;
	for (uint32_t n = 0; n < MT_VIP_MAX; n++)
		if (v->by_n[n] && !is_used(b, n))
			b->again[b->n_again++] = v->by_n[n];
	qsort(b->again, b->n_again, sizeof(struct mt_vip *), mt_vip_by_gone);
	return 0;
}

/* The number of who has gone longest; 0: none. */
static uint32_t find_gone(
	const struct mt_vips *v, struct mt_vips_build *b, mt_vip_taken_fn *taken, void *arg)
{
	if (!b->again && list_gone(v, b))
		return 0;
	while (b->at < b->n_again) {
		uint32_t n = b->again[b->at++]->n;
		struct mt_addr a = addr_of(n);

		if (!is_used(b, n) && !taken(arg, &a))
			return n;
	}
	return 0;
}

bool mt_vips_give(struct mt_vips *v, struct mt_vips_build **build, const char *host,
	mt_vip_taken_fn *taken, void *arg, struct mt_addr *out)
{
	struct mt_vips_build *b = building(build);
	uint32_t n;

	if (!b || init(v))
		return false;
	n = find_free(v, b, taken, arg);
	if (!n)
		n = find_gone(v, b, taken, arg);
	if (!n)
		return false;
	if (b->n_added == b->cap) {
		uint32_t cap = MT_MAX(2 * b->cap, 16u);
		struct mt_vip **more = realloc(b->added, cap * sizeof(*more));

		if (!more)
			return false;
		b->added = more;
		b->cap = cap;
	}
	b->added[b->n_added] = new_vip(host, n);
	if (!b->added[b->n_added])
		return false;
	b->n_added++;
	use(b, n);
	*out = addr_of(n);
	return true;
}

/* ---- published --------------------------------------------------------------------------------- */

/* What `v` becomes by it; nothing but tables is made, so that it can be thrown away. */
static int join(const struct mt_vips *v, const struct mt_vips_build *b, struct mt_vips *out)
{
	int rc = init(out);

	for (uint32_t i = 0; rc == 0 && i < b->n_added; i++)
		rc = put(out, b->added[i]);
	/* Who lost the number, and a host's number of before, go. */
	for (uint32_t n = 0; rc == 0 && v->by_n && n < MT_VIP_MAX; n++)
		if (v->by_n[n] && put(out, v->by_n[n]) == -ENOMEM)
			rc = -ENOMEM;
	out->next = b->next ? b->next : v->next;
	out->left = v->left;
	return rc;
}

/* Only tables: the addresses themselves are others'. */
static void drop(struct mt_vips *v)
{
	mt_strmap_fini(&v->by_host);
	free(v->by_n);
}

/* Notes who is there and who has gone; whether that is new. */
static bool note(struct mt_vips *v, const struct mt_vips_build *b)
{
	bool changed = false;

	for (uint32_t n = 0; v->by_n && n < MT_VIP_MAX; n++) {
		struct mt_vip *vip = v->by_n[n];

		if (!vip || is_used(b, n) == !vip->gone)
			continue;
		vip->gone = vip->gone ? 0 : ++v->left;
		changed = true;
	}
	return changed;
}

/* 0: *next may be published, for the file has it. -EINPROGRESS: not yet. *hash: of its text, 0: not known yet. */
static int settle(struct mt_vips *v, const struct mt_vips *next, uint64_t *hash,
	const char *state_dir, struct mt_err *err)
{
	struct mt_vips_disk *d = &v->disk;
	char *text = *hash ? NULL : mt_vips_text(next, hash);

	if (!*hash)
		return mt_err(err, -ENOMEM, "no memory for addresses of services");
	if (!d->writing && d->has != *hash && !(d->rc && d->wanted == *hash)) {
		d->ahead = true;
		mt_vips_write(v, state_dir, text ? text : mt_vips_text(next, hash), *hash);
		text = NULL;
	}
	free(text);
	if (d->writing)
		return mt_err(err, -EINPROGRESS, "addresses of services are being written");
	if (d->has == *hash)
		return 0;
	/* Told once: the next attempt writes again. */
	mt_err(err, d->rc, "%s", d->why.text);
	d->wanted = 0;
	return d->rc;
}

/* Nobody is given an address: what is there is enough, and who has gone is noted when there is time. */
static void note_late(struct mt_vips *v, const char *state_dir)
{
	uint64_t hash;
	char *text;

	if (!v->late || !state_dir || !v->by_n || v->disk.writing)
		return;
	text = mt_vips_text(v, &hash);
	v->late = false;
	mt_vips_write(v, state_dir, text, hash);
}

static int settle_own(struct mt_vips *v, const char *state_dir, struct mt_err *err)
{
	uint64_t hash = 0;
	int rc = settle(v, v, &hash, state_dir, err);

	if (rc == 0)
		v->disk.ahead = v->late = false;
	return rc;
}

/* The tables of `v` become those of `next`. */
static void adopt(struct mt_vips *v, struct mt_vips *next)
{
	for (uint32_t n = 0; v->by_n && n < MT_VIP_MAX; n++)
		if (v->by_n[n] && next->by_n[n] != v->by_n[n])
			free(v->by_n[n]);
	drop(v);
	v->by_host = next->by_host;
	v->by_n = next->by_n;
	v->next = next->next;
	v->left = next->left;
	v->late = v->disk.ahead = false;
}

int mt_vips_commit(
	struct mt_vips *v, struct mt_vips_build *b, const char *state_dir, struct mt_err *err)
{
	struct mt_vips next = {0};
	int rc;

	if (!b || !b->n_added) {
		v->late |= note(v, b);
		/* What a configuration that was given up wrote may give an address of ours away. */
		if (v->disk.ahead)
			return settle_own(v, state_dir, err);
		note_late(v, state_dir);
		return 0;
	}
	rc = join(v, b, &next);
	if (rc)
		mt_err(err, rc, "no memory for addresses of services");
	else
		note(&next, b);
	if (rc == 0 && state_dir)
		rc = settle(v, &next, &b->text, state_dir, err);
	if (rc) {
		v->left = next.left;
		drop(&next);
		return rc;
	}
	adopt(v, &next);
	b->n_added = 0;
	return 0;
}
