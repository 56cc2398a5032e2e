/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state file STATE/xds-NAME.bin saves the active resources, so that a node that starts while
 * its servers are unreachable serves at once. It is written to a temporary file, synced and
 * renamed. A file that is incomplete, damaged or of another format is logged and not used. Secrets
 * are not saved, so no private key is written.
 *
 * Bodies in the file are not in memory as well. They are read from it when the file is rewritten,
 * or when a server sends a resource in another serialization. The file stays open for that, even if
 * it is removed.
 *
 * Format, with numbers in little endian:
 * - header: magic, number of records, hash of the servers' addresses, bytes of records, hash of
 *   records
 * - records: type, lengths of name, version and body, then these three
 */
#include "mt_xds_priv.h"

#include "mt_file.h"
#include "mt_mutant.h"
#include "mt_service.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC	  "MTXDS\0\0\1" /* last byte: version of the format */
#define HEADER	  32
#define RECORD	  16
#define FILE_MAX  (512u << 20)
#define QUIET	  (2 * MT_SEC)	/* after the last change */
#define PATIENCE  (15 * MT_SEC) /* after the first change, at most */
#define RETRY	  (5 * MT_SEC)
#define ASK_AGAIN (60 * MT_SEC) /* minimum between requests for lost bodies */
/* A large file is written less often: the pause grows by a second for each of so many bytes. */
#define BYTES_PER_S (1u << 20)

static void put(uint8_t *p, uint64_t v, unsigned int bytes)
{
	for (unsigned int i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get(const uint8_t *p, unsigned int bytes)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

/* ---- writing --------------------------------------------------------------------------------- */

/*
 * Returns the body that is saved; NULL: none. The active body is saved, even if the server has
 * removed it or a newer one is pending. After a restart without servers the pending body could not
 * become complete.
 */
static struct xds_body *kept(const struct xds_res *r)
{
	if (r->type == MT_XDS_SDS || (r->gone && mt_mutant(MT_MUTANT_xds_named_not_kept)))
		return NULL;
	if (mt_mutant(MT_MUTANT_xds_waiting_kept))
		return (struct xds_body *)xds_newest(r);
	return r->live || r->gone ? r->live : (struct xds_body *)xds_newest(r);
}

static size_t text_len(const char *s)
{
	return s ? strlen(s) : 0;
}

static size_t size_of(const struct xds_res *r, const struct xds_body *b)
{
	return RECORD + strlen(r->name) + text_len(b->version) + b->raw_len;
}

static uint8_t *add(
	uint8_t *p, const struct xds_res *r, const struct xds_body *b, const uint8_t *bytes)
{
	size_t name = strlen(r->name), version = text_len(b->version);

	put(p, (uint64_t)r->type, 4);
	put(p + 4, name, 4);
	put(p + 8, version, 4);
	put(p + 12, b->raw_len, 4);
	p += RECORD;
	memcpy(p, r->name, name);
	if (version)
		memcpy(p + name, b->version, version);
	memcpy(p + name + version, bytes, b->raw_len);
	return p + name + version + b->raw_len;
}

typedef void each_fn(struct mt_xds *x, struct xds_res *r, struct xds_body *b, void *arg);

/* Calls fn for every body that is saved. */
static void each(struct mt_xds *x, each_fn *fn, void *arg)
{
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct mt_list *k;

		mt_list_foreach (k, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(k, struct xds_res, node);
			struct xds_body *b = kept(r);

			if (b)
				fn(x, r, b, arg);
		}
	}
}

static void measure(struct mt_xds *x, struct xds_res *r, struct xds_body *b, void *arg)
{
	*(size_t *)arg += size_of(r, b);
}

/* Content of the file while it is built. */
struct image {
	uint8_t *buf, *end;
	uint64_t n;
	uint32_t lost; /* bodies left out because their bytes are lost */
};

/* Adds a body. One whose bytes are lost is left out; it stays active and is requested again. */
static void write_one(struct mt_xds *x, struct xds_res *r, struct xds_body *b, void *arg)
{
	struct image *m = arg;
	uint8_t *own;
	const uint8_t *bytes = xds_body_bytes(x, b, &own);

	b->file_next = 0;
	if (bytes) {
		m->end = add(m->end, r, b, bytes);
		b->file_next = (uint32_t)(m->end - m->buf) - b->raw_len;
		m->n++;
	}
	free(own);
	if (bytes)
		return;
	m->lost++;
	/* Count it once: file_at is 0 if it was lost before. */
	x->keep_lost += b->file_at != 0;
	b->file_at = 0;
}

/*
 * Hash of the servers' addresses, because versions of one server mean nothing to another. Never 0,
 * which is the value in files written before this field existed.
 */
static uint32_t servers_of(const struct mt_xds *x)
{
	const struct mt_xds_way *ways[] = {&x->b->ads, &x->b->cds, &x->b->lds};
	uint64_t hash = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(ways); i++) {
		const struct mt_xds_server *s =
			ways[i]->server ? mt_xds_server_find(x->b, ways[i]->server) : NULL;

		for (uint32_t k = 0; s && k < s->n_addresses; k++)
			hash = mt_hash_bytes(s->addresses[k], strlen(s->addresses[k]), hash + i);
	}
	return (uint32_t)hash | 1;
}

/*
 * Builds the file except its hash. The caller frees `buf`, which is NULL without memory or beyond
 * FILE_MAX.
 */
static struct image image(struct mt_xds *x)
{
	struct image m = {NULL, NULL, 0, 0};
	size_t most = HEADER, body;

	each(x, measure, &most);
	m.buf = most <= FILE_MAX ? malloc(most) : NULL;
	if (!m.buf)
		return m;
	m.end = m.buf + HEADER;
	each(x, write_one, &m);
	body = (size_t)(m.end - m.buf) - HEADER;
	memcpy(m.buf, MAGIC, 8);
	put(m.buf + 8, m.n, 4);
	put(m.buf + 12, servers_of(x), 4);
	put(m.buf + 16, body, 8);
	return m;
}

/* Mutant for tests: removes the old file before it writes the new one. */
static int write_in_place(const char *path, const uint8_t *data, size_t len)
{
	FILE *f;
	bool whole;

	(void)unlink(path);
	f = fopen(path, "we");
	whole = f && fwrite(data, 1, len, f) == len;
	return f && fclose(f) == 0 && whole ? 0 : -errno;
}

static int replace(const char *path, const uint8_t *data, size_t len)
{
	struct mt_err why;

	if (mt_mutant(MT_MUTANT_xds_kept_in_place))
		return write_in_place(path, data, len);
	return mt_file_replace(path, data, len, 0600, &why);
}

/* Warns about lost bodies. Active resources do not need the file, but the next start does. */
static void told_lost(struct mt_xds *x, uint32_t lost)
{
	mt_err(&x->kept, 0,
		"%s was damaged: %u resources are in use and not stored until the server sends "
		"them again, which was requested; look at the disk",
		x->path, lost);
	mt_log(MT_LOG_WARN, "xds", "%s: %s", x->name, x->kept.text);
}

static void told(struct mt_xds *x, int rc, size_t len)
{
	if (rc == 0) {
		if (x->keep_failed)
			mt_log(MT_LOG_INFO, "xds", "%s: %s is written again", x->name, x->path);
		mt_err(&x->kept, 0, "%zu bytes are kept", len);
	} else {
		mt_err(&x->kept, 0,
			"%s cannot be written: %s: a restart without a server would "
			"serve what was kept before",
			x->path, strerror(-rc));
		if (!x->keep_failed)
			mt_log(MT_LOG_WARN, "xds", "%s: %s", x->name, x->kept.text);
	}
	x->keep_failed = rc != 0;
}

bool xds_keep_read(const struct mt_xds *x, uint32_t at, uint8_t *to, uint32_t len)
{
	while (x->keep_fd >= 0 && len) {
		ssize_t n = pread(x->keep_fd, to, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		to += n;
		at += (uint32_t)n;
		len -= (uint32_t)n;
	}
	return x->keep_fd >= 0;
}

/* Calls fn for both bodies of every resource, saved or not. */
static void each_body(struct mt_xds *x, void (*fn)(struct mt_xds *x, struct xds_body *b))
{
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct mt_list *k;

		mt_list_foreach (k, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(k, struct xds_res, node);

			if (r->live)
				fn(x, r->live);
			if (r->next)
				fn(x, r->next);
		}
	}
}

static void in_no_file(struct mt_xds *x, struct xds_body *b)
{
	b->file_next = 0;
}

/*
 * Reads a body that is in the old file only back into memory, because a later file may contain it
 * again.
 */
static void load_again(struct mt_xds *x, struct xds_body *b)
{
	uint8_t *own;

	if (b->file_next || b->raw || !b->file_at)
		return;
	(void)xds_body_bytes(x, b, &own);
	if (own)
		b->raw = mt_heap_alloc(&x->raws, b->raw_len);
	if (b->raw)
		memcpy(b->raw, own, b->raw_len);
	free(own);
	x->keep_lost += !b->raw;
	b->file_at = 0;
}

static void in_the_file(struct mt_xds *x, struct xds_body *b)
{
	if (!b->file_next)
		return;
	b->file_at = b->file_next;
	xds_body_unload(x, b);
}

/* Switches to the new file: from now on bodies are read from it. */
static void use_file(struct mt_xds *x)
{
	int fd = open(x->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	each_body(x, load_again);
	if (x->keep_fd >= 0)
		close(x->keep_fd);
	x->keep_fd = fd;
	each_body(x, in_the_file);
}

/* Switches to the new file, but not during a trial: a rollback body may be in the old file only. */
static void use_new(struct mt_xds *x)
{
	if (!x->keep_use || x->n_trials)
		return;
	x->keep_use = false;
	use_file(x);
}

/* Task of the service thread that writes the file. */
struct keep_task {
	struct mt_task task;
	struct mt_xds *x;
	char *path;
	struct image m;
};

/* Service thread: hashes the file as well, because that takes as long as the write. */
static int write_file(struct mt_task *t)
{
	struct keep_task *k = mt_container_of(t, struct keep_task, task);
	size_t body = (size_t)(k->m.end - k->m.buf) - HEADER;

	put(k->m.buf + 24, mt_hash_bytes(k->m.buf + HEADER, body, 0), 8);
	return replace(k->path, k->m.buf, HEADER + body);
}

static void written(struct mt_task *t, int rc)
{
	struct keep_task *k = mt_container_of(t, struct keep_task, task);
	size_t len = (size_t)(k->m.end - k->m.buf);
	struct mt_xds *x = k->x;

	x->keep_writing = false;
	x->keep_use = rc == 0;
	use_new(x);
	told(x, rc, len);
	if (rc == 0 && k->m.lost)
		told_lost(x, k->m.lost);
	if (rc == 0)
		x->keep_spoilt = k->m.lost != 0;
	x->keep_dirty |= rc && !mt_mutant(MT_MUTANT_xds_kept_once);
	x->keep_next = x->now + (rc ? RETRY : 0) + len / BYTES_PER_S * MT_SEC;
	free(k->m.buf);
	free(k->path);
	free(k);
}

static int hand_over(struct mt_xds *x)
{
	struct keep_task *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	k->task = (struct mt_task){.run = write_file, .done = written};
	k->x = x;
	k->path = strdup(x->path);
	each_body(x, in_no_file);
	if (k->path)
		k->m = image(x);
	if (!k->m.buf) {
		free(k->path);
		free(k);
		return -ENOMEM;
	}
	k->task.state_bytes = (size_t)(k->m.end - k->m.buf);
	x->keep_dirty = false;
	x->keep_first = 0;
	x->keep_writing = true;
	if (mt_service_submit(x->env.service, &k->task))
		written(&k->task, -EAGAIN);
	return 0;
}

void xds_keep_flush(struct mt_xds *x)
{
	int rc;

	if (!x->keep_dirty || !x->path[0] || x->keep_writing || x->keep_use)
		return;
	rc = hand_over(x);
	if (rc) {
		told(x, rc, 0);
		x->keep_next = x->now + RETRY;
	}
}

void xds_keep_close(struct mt_xds *x)
{
	if (x->keep_fd >= 0)
		close(x->keep_fd);
	x->keep_fd = -1;
}

void xds_keep_touch(struct mt_xds *x)
{
	x->keep_dirty = true;
	x->keep_last = x->now;
	if (!x->keep_first)
		x->keep_first = x->now;
}

static void ask_for_lost(struct mt_xds *x)
{
	if (!x->keep_lost || x->now < x->keep_ask)
		return;
	x->keep_lost = 0;
	x->keep_ask = x->now + ASK_AGAIN;
	xds_ask_anew(x, "restarted: the state file was damaged, its lost resources are requested");
}

void xds_keep_turn(struct mt_xds *x)
{
	ask_for_lost(x);
	use_new(x);
	/* During a trial the active bodies may still be rolled back: write after the verdict. */
	if (!x->keep_dirty || x->now < x->keep_next || x->n_trials)
		return;
	if (x->now >= x->keep_last + QUIET || x->now >= x->keep_first + PATIENCE)
		xds_keep_flush(x);
}

/* ---- reading --------------------------------------------------------------------------------- */

/*
 * Reads a record at p of the file at `base`. Returns its end; NULL if it is invalid or there is no
 * memory.
 */
static const uint8_t *take(
	struct mt_xds *x, const uint8_t *base, const uint8_t *p, const uint8_t *end, uint32_t *n)
{
	struct mt_ads_resource item = {0};
	Xds__Any body = XDS__ANY__INIT;
	uint64_t type, name_len, version_len, len;
	char *text;
	struct xds_res *r;

	if ((size_t)(end - p) < RECORD)
		return NULL;
	type = get(p, 4);
	name_len = get(p + 4, 4);
	version_len = get(p + 8, 4);
	len = get(p + 12, 4);
	p += RECORD;
	if (type >= MT_XDS_TYPES || name_len + version_len + len > (uint64_t)(end - p))
		return NULL;
	text = malloc(name_len + version_len + 2);
	if (!text)
		return NULL;
	snprintf(text, name_len + 1, "%.*s", (int)name_len, (const char *)p);
	snprintf(text + name_len + 1, version_len + 1, "%.*s", (int)version_len,
		(const char *)p + name_len);
	body.type_url = (char *)mt_xds_url((enum mt_xds_type)type);
	body.value = (ProtobufCBinaryData){
		.len = len, .data = (uint8_t *)(uintptr_t)(p + name_len + version_len)};
	item.version = text + name_len + 1;
	item.body = &body;
	r = *text ? xds_get(x, (enum mt_xds_type)type, text) : NULL;
	if (r && xds_take(x, r, &item) == XDS_FRESH) {
		xds_set_restored(x, r, true);
		r->next->file_at = (uint32_t)(body.value.data - base);
		++*n;
	}
	free(text);
	return p + name_len + version_len + len;
}

/* Checks format, version, length and hash. Returns what is wrong; NULL if the file is usable. */
static const char *look(const uint8_t *buf, size_t len)
{
	if (len < HEADER || memcmp(buf, MAGIC, 7) != 0)
		return "it is not a file of this program";
	if (buf[7] != (uint8_t)MAGIC[7])
		return "it is of another version of this program";
	if (get(buf + 16, 8) != len - HEADER)
		return "it is truncated";
	if (get(buf + 24, 8) != mt_hash_bytes(buf + HEADER, len - HEADER, 0))
		return "it is damaged";
	return NULL;
}

/* Frees the bytes of a body that is in the file that was read. */
static void unload(struct mt_xds *x, struct xds_res *r, struct xds_body *b, void *arg)
{
	if (x->keep_fd >= 0 && b->file_at)
		xds_body_unload(x, b);
}

/* Drops restored resources of types requested by name that no restored resource references. */
static void drop_unwanted(struct mt_xds *x)
{
	for (int i = 0; i < MT_XDS_TYPES; i++) {
		struct mt_list *n, *tmp;

		if (mt_xds_is_whole((enum mt_xds_type)i))
			continue;
		mt_list_foreach_safe (n, tmp, &x->types[i].all) {
			struct xds_res *r = mt_list_entry(n, struct xds_res, node);

			if (r->wants)
				continue;
			xds_body_drop(x, &r->next);
			xds_set_gone(x, r);
			xds_put(x, r);
		}
	}
}

void xds_keep_load(struct mt_xds *x)
{
	const uint8_t *p, *end, *buf;
	uint8_t header[HEADER] = {0};
	const char *why;
	struct mt_err e;
	uint32_t n = 0;
	size_t len;
	char *data;
	int rc;

	if (!x->path[0])
		return;
	rc = mt_file_read(x->path, FILE_MAX, O_NOFOLLOW, &data, &len, &e);
	if (rc) {
		if (rc != -ENOENT)
			mt_log(MT_LOG_WARN, "xds", "%s: %s cannot be read: %s", x->name, x->path,
				strerror(-rc));
		return;
	}
	buf = (const uint8_t *)data;
	why = look(buf, len);
	p = buf + HEADER;
	end = buf + len;
	while (!why && p < end)
		if (!(p = take(x, buf, p, end, &n)))
			why = "its records do not fit";
	if (!why)
		memcpy(header, buf, sizeof(header));
	free(data);
	x->keep_spoilt = why != NULL;
	x->kept_in_force = !why;
	x->kept_from_these = !why && get(header + 12, 4) == servers_of(x);
	if (why) {
		mt_err(&x->kept, 0, "%s is not used: %s", x->path, why);
		mt_log(MT_LOG_WARN, "xds", "%s: %s; it is replaced when a server has answered",
			x->name, x->kept.text);
	}
	drop_unwanted(x);
	x->keep_dirty = false;
	x->keep_fd = why ? -1 : open(x->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	each(x, unload, NULL);
	if (n)
		mt_log(MT_LOG_INFO, "xds",
			"%s: %u resources of the last time are in force until "
			"a server answers",
			x->name, n);
}
