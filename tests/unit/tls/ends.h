/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a handshake in one thread: ours, and the library's as any program uses it. */
#pragma once

#include "mt_tls.h"

#include <openssl/ssl.h>

/* A context of rules that are right, or the test has failed. */
struct mt_tls_context *ends_context(const struct mt_tls_rules *r);
/* The usual rules: both sides show certificates, ALPN istio. A server is Bob, a client Alice. */
struct mt_tls_rules ends_rules(enum mt_tls_role role);

/* The other end, with our credential; `versions` 0x0303 or 0x0304, `cipher` of that version, NULL: any. */
struct ends_plain {
	SSL_CTX *ctx;
	SSL *ssl;
	int rc;	   /* of SSL_do_handshake(); 1: done */
	int alert; /* that it got; -1: none */
};
void ends_plain_new(struct ends_plain *p, enum mt_tls_role role, const struct mt_credential *c,
	int version, const char *cipher);
void ends_plain_free(struct ends_plain *p);
/* Bytes that it has to say, at most `size`; bytes for it. */
uint32_t ends_plain_says(struct ends_plain *p, void *buf, uint32_t size);
void ends_plain_hears(struct ends_plain *p, const void *buf, uint32_t n);

/* Both go on until nothing moves; pieces of at most `piece` bytes. What ours answered last. */
enum mt_tls_step ends_talk(struct mt_tls_handshake *h, struct ends_plain *p, uint32_t piece);
/* The same between two of ours. */
struct ends_pair {
	struct mt_tls_handshake *client, *server;
	enum mt_tls_step client_step, server_step;
};
void ends_pair_talk(struct ends_pair *p);
void ends_pair_free(struct ends_pair *p);

/* What ours has left unread, of what the peer said: bytes behind Finished. */
extern uint8_t ends_unread[65536];
extern uint32_t ends_unread_len;

/*
 * One record by EVP. Seal: its length. Open: the content's length, the type in *type, and the record's length in *used; 0: it is
 * not whole, or its tag is wrong.
 */
uint32_t ends_seal(struct mt_tls_keys *k, uint8_t type, const void *text, uint32_t n, uint8_t *out);
uint32_t ends_open(struct mt_tls_keys *k, const uint8_t *in, uint32_t n, uint8_t *out,
	uint8_t *type, uint32_t *used);

/* What the peer's library seals we open, behind what it said unasked (tickets), and the other way round. */
void ends_check_records(const struct mt_tls_result *r, struct ends_plain *p);
