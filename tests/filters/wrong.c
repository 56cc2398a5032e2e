/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that are refused, or misbehave; built once for each kind of wrong. */
#include "mt_filter_abi.h"

#ifndef VERSION
#define VERSION MT_FILTER_ABI_VERSION
#endif
#ifndef SIZE
#define SIZE sizeof(struct mt_filter_module)
#endif
#ifndef NAME
#define NAME "wrong"
#endif
#ifndef BYTES
#define BYTES 0
#endif
#ifndef SYMBOL
#define SYMBOL mt_filter_module
#endif

/* Nobody could end this wait. */
static enum mt_filter_verdict on_request(void *conf, struct mt_filter_call *c)
{
	return MT_FILTER_SUSPEND;
}

static enum mt_filter_verdict on_reply(void *conf, struct mt_filter_call *c)
{
	return (enum mt_filter_verdict)77;
}

const struct mt_filter_module SYMBOL = {
	.abi_version = VERSION,
	.size = SIZE,
	.name = NAME,
	.bytes = BYTES,
	.on_request = on_request,
	.on_reply = on_reply,
};
