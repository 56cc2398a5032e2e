/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of connections: counted from slabs and table, and as reported by the kernel. */
#include "scale.h"

#include "mt_table.h"
#include "mt_tls_layer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLABS_MAX 32

/* An object, its generation, and its entry on the stack of free objects once it was freed. */
static uint64_t slab_bytes(const struct mt_slab *s)
{
	uint64_t per_object = s->size + sizeof(*s->gens);

	return s->in_use * per_object + (uint64_t)s->n_free * sizeof(*s->free);
}

static uint64_t table_bytes(const struct mt_table *t)
{
	return (uint64_t)(t->n_buckets + t->over_used) * sizeof(*t->b);
}

static uint64_t resident(const void *base, size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t n = (len + page - 1) / page;
	unsigned char *in = malloc(n);
	uint64_t sum = 0;

	MT_ASSERT(in);
	if (n > 0 && mincore((void *)(uintptr_t)base, len, in) == 0)
		for (size_t i = 0; i < n; i++)
			sum += in[i] & 1;
	free(in);
	return sum * page;
}

static uint64_t slab_resident(const struct mt_slab *s)
{
	return resident(s->base, (size_t)s->fresh * s->size) +
	       resident(s->gens, (size_t)s->fresh * sizeof(*s->gens)) +
	       resident(s->free, (size_t)s->n_free * sizeof(*s->free));
}

static uint64_t table_resident(const struct mt_table *t)
{
	return resident(t->b, (size_t)t->n_buckets * sizeof(*t->b)) +
	       resident(t->over, (size_t)t->over_fresh * sizeof(*t->over));
}

static uint64_t process(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long size, rss = 0;

	if (f && fscanf(f, "%lu %lu", &size, &rss) != 2)
		rss = 0;
	if (f)
		fclose(f);
	return (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint32_t all_slabs(struct mt_worker *w, const struct mt_slab *slabs[SLABS_MAX])
{
	const struct mt_tls_layer *tls = mt_worker_tls(w);
	uint32_t n = mt_tcp_slabs(mt_worker_tcp(w), slabs, SLABS_MAX);

	n += mt_proxy_slabs(mt_worker_proxy(w), slabs + n, SLABS_MAX - n);
	if (!tls)
		return n;
	MT_ASSERT(n + 3 <= SLABS_MAX);
	slabs[n++] = &tls->streams;
	slabs[n++] = &tls->keyed;
	slabs[n++] = &tls->peers;
	return n;
}

void scale_memory_read(struct scale_memory *m, struct mt_worker *w)
{
	const struct mt_slab *slabs[SLABS_MAX];
	uint32_t n = all_slabs(w, slabs);

	*m = (struct scale_memory){
		.counted = table_bytes(mt_tcp_table(mt_worker_tcp(w))),
		.resident = table_resident(mt_tcp_table(mt_worker_tcp(w))),
		.process = process(),
	};
	for (uint32_t i = 0; i < n; i++) {
		m->counted += slab_bytes(slabs[i]);
		m->resident += slab_resident(slabs[i]);
	}
}

void scale_memory_tell(struct mt_worker *w, uint32_t conns)
{
	const struct mt_table *t = mt_tcp_table(mt_worker_tcp(w));
	const struct mt_slab *slabs[SLABS_MAX];
	uint32_t n = all_slabs(w, slabs);

	for (uint32_t i = 0; i < n; i++)
		if (slabs[i]->in_use)
			fprintf(stderr, "  %-26s %4u bytes x %8u = %6.1f a pair\n", slabs[i]->name,
				slabs[i]->size + (uint32_t)sizeof(*slabs[i]->gens),
				slabs[i]->in_use, (double)slab_bytes(slabs[i]) / conns);
	fprintf(stderr, "  %-26s %4u bytes x %8u = %6.1f a pair, %u of them overflow\n",
		"buckets of the table", (uint32_t)sizeof(*t->b), t->n_buckets + t->over_used,
		(double)table_bytes(t) / conns, t->over_used);
}

uint64_t scale_memory_host(const struct bench_host *h)
{
	struct mt_tcp *tcp = bench_host_tcp((struct bench_host *)(uintptr_t)h);
	const struct mt_slab *slabs[SLABS_MAX];
	uint32_t n = mt_tcp_slabs(tcp, slabs, SLABS_MAX);
	uint64_t sum = slab_bytes(bench_host_slab(h)) + table_bytes(mt_tcp_table(tcp));

	for (uint32_t i = 0; i < n; i++)
		sum += slab_bytes(slabs[i]);
	return sum;
}
