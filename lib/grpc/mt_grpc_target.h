/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a gRPC service is: its servers and TLS settings, as an immutable object with a reference
 * count. Providers of the configuration have one, and the threads that connect to them hold it.
 */
#pragma once

#include "mt_grpc.h"

struct mt_grpc_target;

/*
 * Copies the texts. With TLS `credential` is used, not PEM texts; the target takes a reference.
 * `tls` NULL: plaintext. Returns the first reference; NULL: no memory.
 */
struct mt_grpc_target *mt_grpc_target_new(
	const char *const *servers, uint32_t n_servers, const struct mt_grpc_tls *tls);
/* Take and release a reference; any thread. mt_grpc_target_drop() accepts NULL. */
struct mt_grpc_target *mt_grpc_target_hold(struct mt_grpc_target *t);
void mt_grpc_target_drop(struct mt_grpc_target *t);
/* True if its servers are called with TLS. */
bool mt_grpc_target_has_tls(const struct mt_grpc_target *t);
/* Sets the servers and TLS settings of a channel, which must not outlive the target. */
void mt_grpc_target_fill(const struct mt_grpc_target *t, struct mt_grpc_conf *conf);
