/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer sends, of commands in an input. */
#pragma once

#include "fuzz_reader.h"
#include "mt_tls_record.h"
#include "peer.h"

/*
 * Bytes of any kind, or a record that is sealed as it should be and holds anything, so that what lies behind the tag is reached; one
 * behind the other to `wire` (WIRE_ROOM bytes). A KeyUpdate that is right changes the peer's key. How many bytes.
 */
uint32_t record_wire(struct reader *in, struct peer *p, uint8_t *wire);
