/* SPDX-License-Identifier: Apache-2.0 */
#include "thrift.h"

#include <errno.h>

/* Makes the same checks as the decoder's detection, on flat bytes. */
static enum mt_sniff sniff(
	const struct mt_codec *self, const uint8_t *p, uint32_t n, uint32_t *need)
{
	bool strict, compact;
	uint32_t len, at;

	if (n < 8) {
		*need = 8;
		return MT_SNIFF_MORE;
	}
	len = mt_get_be32(p);
	at = len > 0 && len <= THRIFT_MAX_MESSAGE - 4 ? 4 : 0;
	if (at && p[4] == 0x0f && p[5] == 0xff)
		return MT_SNIFF_YES;
	strict = p[at] == 0x80 && p[at + 1] == 0x01;
	compact = p[at] == 0x82 && (p[at + 1] & 0x1f) == 1;
	if (strict || compact)
		return MT_SNIFF_YES;
	/* Old style: a short length, then a name of printable bytes and a type. */
	if (at == 0 || len > THRIFT_MAX_NAME)
		return MT_SNIFF_NO;
	for (uint32_t i = 4; i < 8 && i < 4 + len; i++)
		if (p[i] <= 0x20 || p[i] >= 0x7f)
			return MT_SNIFF_NO;
	if (n < 4 + len + 1) {
		*need = 4 + len + 1;
		return MT_SNIFF_MORE;
	}
	return p[4 + len] >= THRIFT_CALL && p[4 + len] <= THRIFT_ONEWAY ? MT_SNIFF_YES
									: MT_SNIFF_NO;
}

/* The index is mt_key.id; thrift_metadata() relies on it. */
static const char *const keys[] = {"method", "service", NULL};

const struct mt_codec mt_codec_thrift = {
	.name = "thrift",
	.aeraki_name = "aeraki.meta_protocol.codec.thrift",
	.version = 1,
	.correlation = MT_CORR_SERIAL,
	.correlation_mux = MT_CORR_SAFE,
	.ordered_replies = true,
	.whole_close = true,
	.executes_whole = true,
	.client_whole_close = true,
	.max_message = THRIFT_MAX_MESSAGE,
	/* Four bytes as a varint, and positive as an i32. */
	.id_min = 1u << 21,
	.id_max = (1u << 28) - 1,
	.service_key = "service",
	.method_key = {.name = "method", .len = 6, .id = 0, .hash = MT_KEY_HASH("method")},
	.method_field = THRIFT_F_METHOD,
	.service_field = THRIFT_F_SERVICE,
	.keys = keys,
	.leading_keys = 0x3,
	.frame.sniff = sniff,
	.frame.decode = thrift_decode,
	.metadata.leading = thrift_metadata,
	.metadata.index = thrift_index,
	.metadata.carries = thrift_carries,
	.correlate.save = thrift_save,
	.correlate.set_id = thrift_set_id,
	.correlate.restore_id = thrift_restore_id,
	.rewrite.mutate = thrift_mutate,
	.write.reply = thrift_reply,
	.errors.classes = thrift_classes,
	.errors.n_classes = THRIFT_CLASSES,
	.errors.others = MT_STATUS_CALLER_ERROR,
	.errors.read = thrift_read_error,
};
