/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a cluster that is computed: the table of its balancer. */
#include "mt_upstream.h"

#include <errno.h>

const char *mt_lb_str(enum mt_lb lb)
{
	static const char *const words[] = {
		[MT_LB_ROUND_ROBIN] = "round robin",
		[MT_LB_RANDOM] = "random",
		[MT_LB_LEAST_REQUEST] = "least request",
		[MT_LB_MAGLEV] = "maglev",
	};

	return (unsigned int)lb < MT_ARRAY_LEN(words) ? words[lb] : "unknown";
}

int mt_cluster_build(struct mt_cluster *c)
{
	const char **names;
	uint32_t *weights;
	int rc = -ENOMEM;

	if (c->n_eps == 0)
		return 0;
	names = malloc(sizeof(*names) * c->n_eps);
	weights = malloc(sizeof(*weights) * c->n_eps);
	for (uint32_t i = 0; names && weights && i < c->n_eps; i++) {
		names[i] = c->eps[i].name;
		weights[i] = c->eps[i].weight;
	}
	/* One table a cluster: the others balance by the sequence, which equal weights do without. */
	if (names && weights && c->lb == MT_LB_MAGLEV)
		rc = mt_maglev_build(&c->maglev, names, weights, c->n_eps);
	else if (names && weights)
		rc = mt_wseq_build(&c->wseq, weights, c->n_eps);
	free(names);
	free(weights);
	return rc;
}

void mt_cluster_release(struct mt_cluster *c)
{
	mt_maglev_free(&c->maglev);
	mt_wseq_free(&c->wseq);
}
