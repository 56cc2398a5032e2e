/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of a channel for clients with a connection of their own, such as libcurl. */
#pragma once

#include "mt_grpc.h"

/* False: this program has another TLS library than the system, so mt_grpc_tls_use() fails. */
bool mt_grpc_tls_may_use(void);

/*
 * Sets identity and trust of the SSL_CTX `ctx` of the system's OpenSSL, and verifies in the
 * handshake that the server's certificate has one of the expected names. With `istio` it sets
 * ALPN, too. The client sends the server name itself. `t` must outlive the context's handshakes.
 * Returns 0, or a negative value with the reason in *e.
 */
int mt_grpc_tls_use(void *ctx, const struct mt_grpc_tls *t, struct mt_err *e);
