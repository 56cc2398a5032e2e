/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opaque TCP: no messages, no metadata. lib/proxy joins the two connections (a FIN is forwarded as
 * FIN, a reset as reset) and never calls a decoder. Services are selected by address and port
 * alone.
 */
#include "mt_codec_priv.h"

static enum mt_sniff sniff(
	const struct mt_codec *self, const uint8_t *p, uint32_t n, uint32_t *need)
{
	(void)p;
	(void)n;
	(void)need;
	return MT_SNIFF_YES;
}

const struct mt_codec mt_codec_opaque = {
	.name = "tcp",
	.version = 1,
	.correlation = MT_CORR_EXCLUSIVE,
	.correlation_mux = MT_CORR_EXCLUSIVE,
	.server_speaks_first = true,
	.opaque = true,
	.frame.sniff = sniff,
};
