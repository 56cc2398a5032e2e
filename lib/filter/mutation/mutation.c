/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata changes. Filters and routes only record them in the view. The codec applies all of them
 * after the chain, so that a message is rewritten once.
 */
#include "../mt_filter_priv.h"

#include <stdio.h>
#include <string.h>

struct mutations {
	uint32_t n_req, n_rsp;
	struct mt_mutation *req, *rsp; /* in the same allocation, followed by the bytes */
};

static struct mt_mutation *same_key(struct mt_view *v, const struct mt_mutation *m)
{
	for (uint32_t i = 0; i < v->n_mutations; i++)
		if (v->mutations[i].key_len == m->key_len &&
			memcmp(v->mutations[i].key, m->key, m->key_len) == 0)
			return &v->mutations[i];
	return NULL;
}

static size_t text_of(const struct mt_mutation *m, uint32_t n)
{
	size_t size = 0;

	for (uint32_t i = 0; i < n; i++)
		size += m[i].key_len + (m[i].value ? m[i].value_len : 0u);
	return size;
}

bool mt_filter_change(struct mt_filter_worker *fw, struct mt_view *v, const struct mt_mutation *m)
{
	struct mt_mutation *to = same_key(v, m);

	if ((!to && v->n_mutations == MT_VIEW_MUTATIONS) ||
		text_of(v->mutations, v->n_mutations) + text_of(m, 1) > MT_VIEW_CHANGES) {
		mt_count(fw->counters, MT_FILTER_mutations_full);
		return false;
	}
	if (!to)
		to = &v->mutations[v->n_mutations++];
	*to = *m;
	return true;
}

void mt_filter_mutate(
	struct mt_filter_worker *fw, struct mt_view *v, const struct mt_mutation *m, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		(void)mt_filter_change(fw, v, &m[i]);
}

static size_t bytes_of(const struct mt_mutation *m, uint32_t n)
{
	return n * sizeof(*m) + text_of(m, n);
}

/* Copies changes to `to`, and their bytes to *p. */
static void copy(struct mt_mutation *to, const struct mt_mutation *from, uint32_t n, char **p)
{
	for (uint32_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].key = memcpy(*p, from[i].key, from[i].key_len);
		*p += from[i].key_len;
		if (!from[i].value)
			continue;
		to[i].value = memcpy(*p, from[i].value, from[i].value_len);
		*p += from[i].value_len;
	}
}

void *mt_mutation_compile(const struct mt_mutation *req, uint32_t n_req,
	const struct mt_mutation *rsp, uint32_t n_rsp)
{
	struct mutations *c = calloc(1, sizeof(*c) + bytes_of(req, n_req) + bytes_of(rsp, n_rsp));
	char *p;

	if (!c)
		return NULL;
	c->n_req = n_req;
	c->n_rsp = n_rsp;
	c->req = (struct mt_mutation *)(c + 1);
	c->rsp = c->req + n_req;
	/* The bytes come last, because they need no alignment. */
	p = (char *)(c->rsp + n_rsp);
	copy(c->req, req, n_req, &p);
	copy(c->rsp, rsp, n_rsp, &p);
	return c;
}

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mutations *c = f->conf;

	mt_filter_mutate(ctx->fw, v, c->req, c->n_req);
	return MT_FILTER_NEXT;
}

size_t mt_mutations_str(const struct mt_mutation *m, uint32_t n, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < n && len < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s %.*s%s%.*s", i ? ", " : "",
			m[i].value ? "sets" : "removes", m[i].key_len, m[i].key,
			m[i].value ? "=" : "", m[i].value ? m[i].value_len : 0,
			m[i].value ? m[i].value : "");
	return len;
}

static void explain(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
	struct mt_filter_told *told)
{
	const struct mutations *c = f->conf;

	mt_mutations_str(c->req, c->n_req, told->words, sizeof(told->words));
}

static enum mt_filter_verdict on_reply(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mutations *c = f->conf;

	mt_filter_mutate(ctx->fw, v, c->rsp, c->n_rsp);
	return MT_FILTER_NEXT;
}

const struct mt_filter mt_filter_mutation = {
	.name = "mutation",
	.on_request = on_request,
	.on_reply = on_reply,
	.reads = true,
	.explain = explain,
	.free_conf = free,
};
