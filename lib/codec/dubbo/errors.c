/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of a response's status: org.apache.dubbo.remoting.exchange.Response. The body of an error
 * is a string.
 */
#include "dubbo.h"

/* Providers send 70 with this text if they do not have the service. */
#define NO_SERVICE "Not found exported service"

const struct mt_error_class dubbo_classes[DUBBO_CLASSES] = {
	{25, MT_STATUS_CALLER_ERROR, "SERIALIZATION_ERROR", NULL},
	{30, MT_STATUS_CALLER_ERROR, "CLIENT_TIMEOUT", NULL},
	{31, MT_STATUS_DEADLINE, "SERVER_TIMEOUT", NULL},
	{35, MT_STATUS_UNAVAILABLE, "CHANNEL_INACTIVE", NULL},
	{40, MT_STATUS_CALLER_ERROR, "BAD_REQUEST", NULL},
	{50, MT_STATUS_SERVER_ERROR, "BAD_RESPONSE", NULL},
	{60, MT_STATUS_CALLER_ERROR, "SERVICE_NOT_FOUND", NULL},
	{70, MT_STATUS_CALLER_ERROR, "SERVICE_ERROR", NO_SERVICE},
	{70, MT_STATUS_SERVER_ERROR, "SERVICE_ERROR", NULL},
	{80, MT_STATUS_SERVER_ERROR, "SERVER_ERROR", NULL},
	{90, MT_STATUS_CALLER_ERROR, "CLIENT_ERROR", NULL},
	{100, MT_STATUS_OVERLOAD, "SERVER_THREADPOOL_EXHAUSTED_ERROR", NULL},
};

/* Bytes before the text of a hessian2 string. */
static uint32_t head_of(uint8_t tag)
{
	if (tag <= 0x1f)
		return 1;
	return tag >= 0x30 && tag <= 0x33 ? 2 : 3;
}

void dubbo_read_error(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_error *e)
{
	uint8_t h[DUBBO_HEADER + 1];
	uint32_t at = DUBBO_HEADER;

	if (c->len < DUBBO_HEADER)
		return;
	mt_chain_read(c, 0, h, MT_MIN(c->len, (uint32_t)sizeof(h)));
	e->number = h[3];
	if (msg->variant == DUBBO_SER_HESSIAN && c->len > DUBBO_HEADER)
		at += head_of(h[DUBBO_HEADER]);
	mt_error_text(e, c, msg, at, sizeof(e->text));
}
