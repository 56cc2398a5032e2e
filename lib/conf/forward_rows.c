/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of forwarded ports: each address of a service with one of its ports, and their cluster. */
#include "mt_conf_forward_priv.h"
#include "mt_conf_holders_priv.h"
#include "mt_conf_listener_priv.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* A row, and the object that it is from, while rows are made. */
struct row {
	struct mt_forward f;
	const struct mt_meta *by;
	const struct mt_unit *u;
	uint64_t place;
};

static void refuse(struct mt_build *b, const struct mt_unit *u, const char *where,
	const char *remedy, const char *why)
{
	char path[MT_INDEX_PATH];

	mt_index_path(path, "spec.ports", (uint32_t)(u->port - u->se->ports), ".number");
	mt_b_error(b, &u->se->meta, u->port->number.line, path, remedy, "%s is in use by %s", where,
		why);
}

static const char another[] = "give one of them another port or address";

/* "SERVICE at FILE:LINE", with the reason why it has the place. */
static const char *holder(
	char why[256], const char *service, const struct mt_unit *u, const char *reason)
{
	const char *file = u->se->meta.origin.file;

	snprintf(why, 256, "%.128s at %.64s:%u%s", service, file ? file : "?", u->port->number.line,
		reason);
	return why;
}

/* Refuses the object with the worse claim. True if that is the object of `before`. */
static bool wins(
	struct mt_build *b, const struct mt_unit *u, const char *where, const struct row *before)
{
	unsigned int own = mt_b_claim(b, before->place, &u->se->meta);
	unsigned int other = mt_b_claim(b, before->place, before->by);
	char why[256];

	if (own < other)
		refuse(b, before->u, where, another,
			holder(why, u->host, u, mt_claim_reason(own, other)));
	else
		refuse(b, u, where, another,
			holder(why, before->f.service, before->u, mt_claim_reason(other, own)));
	return own < other;
}

/* True if the address and port are free, or of a refused object. Such an object takes none. */
static bool is_free(struct mt_build *b, const struct mt_unit *u, const struct mt_addr *a,
	const char *where, const struct row *before)
{
	const struct mt_node *n = b->model->node;

	if (n && u->transport == IPPROTO_UDP &&
		mt_node_answers_names(n, a, (uint16_t)u->port->number.v)) {
		refuse(b, u, where, "give the service another address", "the Node's spec.dns");
		return false;
	}
	if (!before || mt_b_is_wrong(b, before->by))
		return true;
	return !mt_b_is_wrong(b, &u->se->meta) && wins(b, u, where, before);
}

/* Packets for the address and port do not reach the node's listeners. */
static void note_bind(struct mt_build *b, const struct mt_unit *u, const struct mt_addr *a)
{
	const struct mt_listen_port at = {.addr = a,
		.port = (uint16_t)u->port->number.v,
		.meta = &u->se->meta,
		.line = u->port->number.line,
		.at = (uint32_t)(u->port - u->se->ports)};

	if (u->transport == IPPROTO_TCP)
		mt_b_bind(b, &at, true);
}

static void add(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_addr *a)
{
	char place[MT_ADDR_STRLEN], where[MT_ADDR_STRLEN + 8], *key;
	struct row *r;

	mt_addr_port_str(a, (uint16_t)u->port->number.v, place);
	snprintf(where, sizeof(where), "%s of %s", place,
		u->transport == IPPROTO_TCP ? "TCP" : "UDP");
	if (!is_free(b, u, a, where, mt_strmap_get(&b->forwards, where)))
		return;
	key = mt_region_strdup(&b->tmp, where);
	r = mt_region_alloc(&b->tmp, sizeof(*r));
	if (!key || !r || mt_strmap_put(&b->forwards, key, r, NULL)) {
		b->tmp.failed = true;
		return;
	}
	*r = (struct row){.by = &h->se->meta,
		.u = u,
		.place = mt_place_id(u->transport == IPPROTO_TCP ? place : where, NULL),
		.f = {.addr = *a,
			.port = (uint16_t)u->port->number.v,
			.protocol = u->transport,
			.mode = u->forwarding,
			.cluster = mt_b_unit_cluster(b, u, NULL),
			.id = mt_strhash(place, u->transport),
			.service = u->host,
			.file = h->se->meta.origin.file,
			.line = u->port->number.line}};
	note_bind(b, u, a);
}

static int by_place(const void *a, const void *b)
{
	const struct mt_forward *x = a, *y = b;
	int way = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (way || x->port != y->port)
		return way ? way : (int)x->port - (int)y->port;
	return (int)x->protocol - (int)y->protocol;
}

/* Into the snapshot, which outlives the documents' texts. */
static void keep(struct mt_build *b)
{
	struct mt_snapshot *s = &b->snap->pub;
	struct mt_forward *v =
		mt_region_alloc(&b->snap->region, sizeof(*v) * MT_MAX(b->forwards.n, 1u));
	const struct row *r;
	uint32_t pos = 0;

	while (v && (r = mt_strmap_next(&b->forwards, &pos, NULL)) != NULL) {
		v[s->n_forwards] = r->f;
		v[s->n_forwards].service = mt_b_keep(b, r->f.service);
		v[s->n_forwards++].file = mt_b_file(b, r->f.file);
	}
	if (v)
		qsort(v, s->n_forwards, sizeof(*v), by_place);
	s->forwards = v;
}

void mt_b_forward_places(struct mt_build *b, mt_b_place_fn *fn)
{
	const struct row *r;
	uint32_t pos = 0;

	while ((r = mt_strmap_next(&b->forwards, &pos, NULL)) != NULL)
		fn(b, r->place, r->by);
}

void mt_b_forwards(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts && !b->work.full; i++) {
		const struct mt_host *h = &b->host_list[i];

		(void)mt_b_pay(b, &h->se->meta);
		for (const struct mt_unit *u = h->forwards; u; u = u->next)
			for (uint32_t k = 0; u->cluster && k < h->n_addrs; k++)
				add(b, h, u, &h->addrs[k]);
	}
	(void)mt_b_pay(b, NULL);
	if (b->forwards.n)
		keep(b);
}
