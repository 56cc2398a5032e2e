/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates all memory of a worker's TLS streams at boot. */
#include "layer_priv.h"

#include <errno.h>

int mt_tls_layer_init(struct mt_tls_layer *l, const struct mt_tls_layer_conf *conf, uint64_t now)
{
	*l = (struct mt_tls_layer){
		.transport = {tls_open},
		.lower = conf->lower,
		.records = {.pools = conf->pools, .aead = conf->aead},
		.hands = conf->hands,
		.hands_arg = conf->hands_arg,
		.now = now,
		.mss = conf->mss,
	};
	memcpy(l->secret, conf->secret, sizeof(l->secret));
	mt_wheel_init(&l->wheel, now);
	tls_ops_init(&l->ops);
	l->peer_heads = calloc(TLS_PEER_HEADS, sizeof(*l->peer_heads));
	l->hello = malloc(MT_HELLO_MAX);
	if (l->peer_heads && l->hello &&
		mt_slab_init(&l->streams, "tls_streams", sizeof(struct tls_conn), conf->streams) ==
			0 &&
		mt_slab_init(&l->keyed, "tls_keys", sizeof(struct tls_keyed), conf->streams) == 0 &&
		mt_slab_init(&l->peers, "tls_peers", sizeof(struct tls_peer), conf->streams) == 0)
		return 0;
	mt_tls_layer_fini(l);
	return -ENOMEM;
}

void mt_tls_layer_fini(struct mt_tls_layer *l)
{
	struct tls_conn *c;
	uint32_t i = 0;

	while (l->streams.base && (c = mt_slab_next(&l->streams, &i)))
		tls_conn_free(c);
	mt_slab_fini(&l->streams);
	mt_slab_fini(&l->keyed);
	mt_slab_fini(&l->peers);
	free(l->peer_heads);
	free(l->hello);
}
