/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The toy protocol, small enough that a failure is about the proxy and not about the codec. A message:
 *
 *	'T' 'Y' kind status  id (8)  rest (4)  |  route length (1), route  |  body
 *
 * all big-endian; `rest` counts the bytes behind the 16 of the header.
 */
#pragma once

#include "mt_codec.h"

#define TOY_HEAD   16
#define TOY_NATIVE 0x80 /* status of errors that the proxy makes: 0x80 + enum mt_local_reply */

enum toy_kind {
	TOY_REQUEST = 1,
	TOY_REPLY,
	TOY_ONEWAY,
	TOY_HEARTBEAT,
	TOY_HEARTBEAT_REPLY,
	TOY_DRAIN /* the server asks for no new requests */
};

extern const struct mt_codec toy_safe, toy_serial;
/* Byte streams: what lib/codec's opaque entry says of them. */
extern const struct mt_codec sim_opaque_codec;
