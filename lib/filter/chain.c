/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the filters of a service to lists of functions. */
#include "mt_filter_priv.h"

#include <stdio.h>

size_t mt_filters_size(uint32_t n)
{
	return sizeof(struct mt_filters) + 2 * n * sizeof(struct mt_filter_step) +
	       n * sizeof(struct mt_filter_inst *);
}

/* Sets the offset of each filter's bytes; false if they are too many. */
static bool lay_out(struct mt_filters *c, struct mt_filter_inst *filters, uint32_t n, char *errbuf,
	size_t errlen)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		filters[i].own = (uint16_t)bytes;
		bytes += (filters[i].type->bytes + 7u) & ~7u;
		if (bytes > MT_FILTER_BYTES_MAX) {
			snprintf(errbuf, errlen,
				"the filters up to \"%s\" need %u bytes with each call, and there "
				"are %u for all of them; remove one",
				filters[i].type->name, bytes, MT_FILTER_BYTES_MAX);
			return false;
		}
	}
	c->bytes = (uint16_t)bytes;
	return true;
}

struct mt_filters *mt_filters_compile(
	void *mem, struct mt_filter_inst *filters, uint32_t n, char *errbuf, size_t errlen)
{
	struct mt_filters *c = mem;
	struct mt_filter_step *request = (struct mt_filter_step *)(c + 1), *reply = request + n;
	const struct mt_filter_inst **end = (const struct mt_filter_inst **)(reply + n);

	if (n > MT_FILTERS_MAX) {
		snprintf(errbuf, errlen, "%u filters, and a service has at most %u", n,
			MT_FILTERS_MAX);
		return NULL;
	}
	*c = (struct mt_filters){.request = request, .reply = reply, .end = end};
	if (!lay_out(c, filters, n, errbuf, errlen))
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_filter_inst *f = &filters[i];

		if (f->type->on_request)
			request[c->n_request++] = (struct mt_filter_step){f->type->on_request, f};
		if (f->type->on_reply)
			reply[c->n_reply++] = (struct mt_filter_step){f->type->on_reply, f};
		if (f->type->on_end)
			end[c->n_end++] = f;
		c->reads |= f->type->reads;
	}
	c->lasts = c->n_reply || c->n_end || c->bytes;
	return c;
}

void mt_filter_run_end(
	const struct mt_filters *c, const struct mt_filter_end *end, struct mt_filter_ctx *ctx)
{
	for (uint32_t i = 0; i < c->n_end; i++)
		c->end[i]->type->on_end(c->end[i], end, ctx);
}
