/* SPDX-License-Identifier: Apache-2.0 */
/* Domain names in messages to guests. */
#pragma once

#include "mt_base.h"

#define GUEST_NAME_MAX 255

/*
 * Writes a domain name as labels (RFC 1035 §3.1). Returns their length; 0 if the name is invalid.
 */
uint32_t guest_labels(const char *text, uint8_t out[GUEST_NAME_MAX]);
