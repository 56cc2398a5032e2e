/* SPDX-License-Identifier: Apache-2.0 */
/* A handshake of OpenSSL with itself, of which we take one end. */
#pragma once

#include "scene.h"

#include <openssl/ssl.h>

struct taken {
	struct scene s; /* our end; its `peer` has no keys */
	SSL *other;
	BIO *to, *from; /* the other end's bytes, in and out */
	SSL_CTX *client, *server;
};

/* `server`: which end is ours. `padding`: of the other end's records, as SSL_set_block_padding() has it; AWS-LC pads nothing. */
void taken_begin(struct taken *t, const struct suite *suite, struct mt_aead *aead, bool server,
	size_t padding);
void taken_end(struct taken *t);

/* What the server's or the client's end of `ssl` has, whichever `ssl` is; of TLS 1.3 that of the last taken_begin(). */
void taken_keys(SSL *ssl, const struct suite *suite, bool server, struct mt_tls_keys *k);

/* What the other end has written comes, in buffers of `piece` bytes. */
void taken_receive(struct taken *t, uint32_t piece);

/* Ours goes; `out` is empty then. */
void taken_send(struct taken *t, struct mt_chain *out);
