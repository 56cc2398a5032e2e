/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Dubbo protocol ("dubbo2"): 16 bytes of header, then a body in the serialization that the
 * header specifies. https://dubbo.apache.org, "Dubbo2 protocol specification".
 *
 * 	0 u16 magic dabb | 2 u8 flags, serialization | 3 u8 status | 4 u64 id | 12 u32 body length
 *
 * A hessian2 request body has: dubbo version, interface, service version, method, parameter types
 * (five strings), one value per parameter, and the attachments, a map.
 */
#pragma once

#include "hessian.h"

#define DUBBO_HEADER	    16
#define DUBBO_MAGIC_0	    0xda
#define DUBBO_MAGIC_1	    0xbb
#define DUBBO_REQUEST	    0x80
#define DUBBO_TWO_WAY	    0x40
#define DUBBO_EVENT	    0x20
#define DUBBO_SER_MASK	    0x1f
#define DUBBO_SER_HESSIAN   2
#define DUBBO_SER_FASTJSON2 23
#define DUBBO_STATUS_OK	    20
#define DUBBO_MAX_MESSAGE   (16u * 1024 * 1024)

/* msg->field: what the decoder has passed. len DUBBO_NO_TEXT: null, or not contiguous. */
enum dubbo_field {
	DUBBO_F_DUBBO,
	DUBBO_F_INTERFACE,
	DUBBO_F_VERSION,
	DUBBO_F_METHOD,
	DUBBO_F_TYPES,
	DUBBO_F_ARGS, /* off: start of the arguments (replies: of the value) */
	/*
	 * off: start of the head of the attachments, or the place for them if there are none; valid
	 * if DUBBO_MAP_SOUGHT is set
	 */
	DUBBO_F_MAP,
};
#define DUBBO_N_STRINGS 5
#define DUBBO_NO_TEXT	UINT32_MAX

/* msg->flags */
#define DUBBO_MAP_SOUGHT 0x01 /* DUBBO_F_MAP is set */
#define DUBBO_MAP_NONE	 0x02 /* there are no attachments, or the bytes before them are malformed */
#define DUBBO_MAP_FIRST	 0x04 /* with SOUGHT: no class is defined before the attachments */

/* Indices of mt_codec_dubbo.keys; the first three are known at LEADING. */
enum dubbo_key {
	DUBBO_K_INTERFACE,
	DUBBO_K_METHOD,
	DUBBO_K_VERSION,
	DUBBO_K_GROUP,
	DUBBO_K_TIMEOUT,
};

/*
 * msg->aux32 of requests: [DUBBO_HEADER, aux32) of the message is ASCII. The decoder checks at most
 * so many bytes, when it passes the leading strings.
 */
#define DUBBO_ASCII_MAX 512

/* Values of a hessian2 reply body's first int; + 3: a map of attachments follows. */
#define DUBBO_RSP_EXCEPTION 0x90
#define DUBBO_RSP_VALUE	    0x91
#define DUBBO_RSP_NULL	    0x92
#define DUBBO_RSP_ATT	    3

/* seed->flags: the client reads replies of types 3 to 5. */
#define DUBBO_SEED_READS_ATT 0x01

/*
 * Limit for the five leading strings of a request together; a request with longer ones cannot be
 * proxied. A method's descriptor in a class file has at most 65,535 bytes; all the others are
 * names.
 */
#define DUBBO_LEAD_MAX (DUBBO_HEADER + MT_META_BYTES)

enum mt_decode dubbo_decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg);
bool dubbo_metadata(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	const struct mt_key *key, struct mt_slice *value, uint8_t *scratch);
enum mt_scan_rc dubbo_seek(const struct mt_codec *self, struct mt_scan *s, struct mt_msg *msg,
	const struct mt_chain *c, uint32_t *steps);
void dubbo_index(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *m);
/* invoke.c */
bool dubbo_carries(const struct mt_codec *self, const struct mt_msg *msg);
int dubbo_inner_method(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_slice *value, uint8_t *scratch);
/* errors.c */
#define DUBBO_CLASSES 12
extern const struct mt_error_class dubbo_classes[DUBBO_CLASSES];
void dubbo_read_error(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_error *e);
/* change.c */
bool dubbo_reads_attachments(const struct mt_msg *msg, const struct mt_chain *c);
bool dubbo_reads_added(
	const struct mt_codec *self, const struct mt_seed *seed, const struct mt_msg *reply);
int dubbo_mutate(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	struct mt_metadata *m, const struct mt_mutation *mu, uint32_t n, struct mt_pools *p);
