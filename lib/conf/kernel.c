/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the host's kernel. It answers them on each interface, so that it would reset the
 * connections of a service there. Such a service is refused, and costs no other one anything.
 */
#include "mt_conf_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mt_kernel_addr {
	struct mt_conf_kernel of; /* first: found by its address */
	char why[96];
};

/* Bytes after the name of an interface are 0, so that equal entries are the same bytes. */
static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mt_conf_kernel));
}

static int by_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mt_addr));
}

static bool is_same(const struct mt_conf *c, const struct mt_kernel_addr *v, uint32_t n)
{
	for (uint32_t i = 0; n == c->n_kernel && i < n; i++)
		if (by_bytes(&c->kernel[i], &v[i]) != 0)
			return false;
	return n == c->n_kernel;
}

static void fill(struct mt_kernel_addr *to, const struct mt_conf_kernel *from)
{
	to->of.addr = from->addr;
	snprintf(to->of.interface, sizeof(to->of.interface), "%.15s", from->interface);
	snprintf(to->why, sizeof(to->why),
		"an address of the host's kernel (%s), which would reset each connection",
		to->of.interface);
}

int mt_conf_set_kernel(struct mt_conf *c, const struct mt_conf_kernel *v, uint32_t n)
{
	struct mt_kernel_addr *list = calloc(n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		fill(&list[i], &v[i]);
	qsort(list, n, sizeof(*list), by_bytes);
	if (is_same(c, list, n)) {
		free(list);
		return 0;
	}
	free(c->kernel);
	c->kernel = list;
	c->n_kernel = n;
	return 1;
}

static const struct mt_kernel_addr *find(const struct mt_conf *c, const struct mt_addr *a)
{
	return c->n_kernel ? bsearch(a, c->kernel, c->n_kernel, sizeof(*c->kernel), by_address)
			   : NULL;
}

bool mt_conf_is_kernel(const struct mt_conf *c, const struct mt_addr *a)
{
	return find(c, a) != NULL;
}

const char *mt_b_of_kernel(const struct mt_build *b, const struct mt_addr *a)
{
	const struct mt_kernel_addr *k = find(b->conf, a);

	return k ? k->why : NULL;
}
