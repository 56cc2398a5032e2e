/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the vhost-user protocol, as the vhost library gives them to its hooks. */
#pragma once

#include "compat.h"

#include <stdint.h>

#define MT_VHOST_NEED_REPLY 0x8u
#define MT_VHOST_REPLY	    0x4u

/* Kinds of messages. */
enum {
	SET_FEATURES = 2,
	RESET_OWNER = 4,
	SET_MEM_TABLE = 5,
	SET_LOG_BASE = 6,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	NET_SET_MTU = 20,
	SET_STATUS = 39,
	GET_STATUS = 40,
};

/* A part of the memory that the hypervisor shares; its bytes start at the offset in the file. */
struct mt_vhost_region {
	uint64_t guest_at, size, user_at, offset;
} __attribute__((packed));

/* The start of each message. */
struct mt_vhost_message {
	uint32_t kind, flags, size;
	union {
		uint64_t number;
		struct {
			uint32_t queue, value;
		};
		struct {
			uint64_t size, offset;
		} log;
		struct {
			uint32_t n, padding;
			struct mt_vhost_region regions[MT_VHOST_FDS];
		} memory;
	};
} __attribute__((packed));
