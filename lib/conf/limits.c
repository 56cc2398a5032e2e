/* SPDX-License-Identifier: Apache-2.0 */
/* A local rate limit to the filter that applies it. */
#include "mt_conf_service_priv.h"

#include <errno.h>
#include <string.h>

static struct mt_bucket_numbers numbers(const struct mt_bucket_conf *c)
{
	return (struct mt_bucket_numbers){.max_tokens = c->max_tokens.v,
		.tokens_per_fill = c->tokens_per_fill.v,
		.fill_ns = c->fill_ms.v * MT_MSEC};
}

static uint64_t hash_numbers(const struct mt_bucket_numbers *n, uint64_t h)
{
	h = mt_hash_u64(((uint64_t)n->max_tokens << 32) | n->tokens_per_fill, h);
	return mt_hash_u64(n->fill_ns, h);
}

/* For what a publish says has changed; buckets have an identity of their own in lib/filter. */
static uint64_t hash_defs(const struct mt_limit_cond_def *c, uint64_t h)
{
	h = hash_numbers(&c->numbers, h);
	for (uint32_t i = 0; i < c->n_match; i++) {
		const struct mt_matcher_def *d = &c->match[i];

		h = mt_hash_text(d->value, mt_hash_text(d->key, h));
		h = mt_hash_u64((uint64_t)d->op << 3 | (uint64_t)d->missing_as_empty << 2 |
					(uint64_t)d->invert << 1 | d->ignore_case,
			h);
		h = mt_hash_u64((uint64_t)d->hi, mt_hash_u64((uint64_t)d->lo, h));
	}
	return h;
}

static struct mt_limit_cond_def *conditions(
	struct mt_build *b, const struct mt_limit_conf *l, uint64_t *hash)
{
	struct mt_limit_cond_def *c = mt_region_alloc(&b->tmp, sizeof(*c) * l->n_conds);

	for (uint32_t i = 0; c && i < l->n_conds; i++) {
		c[i].match = mt_b_defs(b, l->conds[i].match);
		if (!c[i].match)
			return NULL;
		c[i].n_match = l->conds[i].match->n_conds;
		c[i].numbers = numbers(l->conds[i].bucket);
		c[i].line = l->conds[i].origin.line;
		*hash = hash_defs(&c[i], *hash);
	}
	return c;
}

void *mt_b_limit_conf(struct mt_build *b, const struct mt_meta *meta, const struct mt_limit_conf *l,
	const struct mt_codec *codec, const char *name, uint64_t *hash)
{
	struct mt_limit_def def = {.service = name,
		.label = l->label,
		.has_bucket = l->bucket != NULL,
		.n_conds = l->n_conds};
	char err[256] = "";
	void *conf;

	def.conds = conditions(b, l, hash);
	if (!def.conds) {
		b->tmp.failed = true;
		return NULL;
	}
	if (l->bucket) {
		def.numbers = numbers(l->bucket);
		*hash = hash_numbers(&def.numbers, *hash);
		*hash = mt_hash_text(l->label, mt_hash_text(l->shared, *hash));
	}
	conf = mt_limit_compile(b->conf->limits, codec, &def, b->now, err, sizeof(err));
	if (!conf)
		mt_b_error(b, meta, l->origin.line, "spec.localRateLimit", NULL, "%s",
			*err ? err : "cannot be compiled");
	return conf;
}

/* The service's name and port are the buckets' identity: a reload finds them with their tokens. */
int mt_b_limit(struct mt_build *b, const struct mt_meta *meta, const struct mt_limit_conf *l,
	const struct mt_codec *codec, uint16_t port, struct mt_service *s, uint64_t *hash)
{
	struct mt_filter_inst *f = mt_b_filter(b, s);
	const char *name =
		l->shared ? l->shared : mt_region_printf(&b->tmp, "%s:%u", s->name, port);

	if (!f || !name)
		return -ENOMEM;
	f->type = mt_filter_find("local_ratelimit");
	f->file = mt_b_file(b, meta->origin.file);
	f->line = l->origin.line;
	f->conf = mt_b_limit_conf(b, meta, l, codec, name, hash);
	if (!f->conf)
		return b->tmp.failed ? -ENOMEM : -EINVAL;
	s->n_filter_insts++;
	return 0;
}
