/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the protocol of an opaque stream, with its chain and service, in the current snapshot. */
#include "mt_proxy_base.h"
#include "mt_secure.h"

/*
 * Finds the opaque protocol of the service, or of a listener with one protocol, among the chains
 * that terminate TLS (`tls`) or among the others. NULL: none.
 */
static const struct mt_filter_chain_proto *proto_of(
	const struct mt_listener *l, uint64_t service, bool tls)
{
	for (uint32_t i = 0; i < l->n_protos; i++) {
		const struct mt_service *svc = mt_opaque_service(&l->protos[i]);

		if (tls == (l->protos[i].chain->tls != NULL) && svc && l->protos[i].codec->opaque &&
			(l->decided || svc->id == service))
			return &l->protos[i];
	}
	return NULL;
}

/*
 * Finds the stream's opaque protocol in the listener: the only one, or one of the stream's service.
 * NULL: none. Prefers a chain that terminates TLS if the stream uses TLS, and otherwise one that
 * does not. The rules of the other kind of chain, if it is the only one, apply to the stream, too.
 */
static const struct mt_filter_chain_proto *same_proto(
	const struct mt_proxy *p, const struct mt_pair *pr, const struct mt_listener *l)
{
	uint64_t id = pr->service ? p->service_ids[pr->service - 1] : 0;
	bool tls = mt_proxy_tls_peer(p, pr->down) != NULL;
	const struct mt_filter_chain_proto *own = proto_of(l, id, tls);

	return mt_likely(own) ? own : proto_of(l, id, !tls);
}

const struct mt_filter_chain_proto *mt_opaque_proto(struct mt_proxy *p, const struct mt_pair *pr)
{
	const struct mt_tuple *t = mt_stream_ends(pr->down);
	const struct mt_listener *l = mt_snapshot_listener(p->snap, &t->local, t->lport);

	return l ? same_proto(p, pr, l) : NULL;
}
