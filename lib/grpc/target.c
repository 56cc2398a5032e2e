/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_grpc_target.h"

#include <stdlib.h>
#include <string.h>

struct mt_grpc_target {
	uint32_t refs; /* atomic */
	char **servers;
	uint32_t n_servers;
	bool has_tls;
	struct mt_grpc_tls tls; /* refers to the texts below; holds a reference to the credential */
	char *server_name;
	char **sans;
};

static void free_texts(char **v, uint32_t n)
{
	for (uint32_t i = 0; v && i < n; i++)
		free(v[i]);
	free(v);
}

static void free_target(struct mt_grpc_target *t)
{
	free_texts(t->servers, t->n_servers);
	free_texts(t->sans, t->tls.n_sans);
	free(t->server_name);
	mt_credential_drop(t->tls.credential);
	free(t);
}

/* Copies the texts. *n is the number copied; false if memory ran out before `count`. */
static bool copy_texts(char ***to, uint32_t *n, const char *const *from, uint32_t count)
{
	*n = 0;
	*to = calloc(count + 1u, sizeof(**to));
	if (!*to)
		return false;
	for (; *n < count; ++*n)
		if (((*to)[*n] = strdup(from[*n])) == NULL)
			return false;
	return true;
}

static bool copy_tls(struct mt_grpc_target *t, const struct mt_grpc_tls *from)
{
	if (!from)
		return true;
	t->has_tls = true;
	t->tls = *from;
	t->tls.credential = mt_credential_hold(from->credential);
	t->server_name = from->server_name ? strdup(from->server_name) : NULL;
	t->tls.server_name = t->server_name;
	if (!copy_texts(&t->sans, &t->tls.n_sans, from->sans, from->n_sans))
		return false;
	t->tls.sans = (const char *const *)t->sans;
	return !from->server_name || t->server_name;
}

struct mt_grpc_target *mt_grpc_target_new(
	const char *const *servers, uint32_t n_servers, const struct mt_grpc_tls *tls)
{
	struct mt_grpc_target *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->refs = 1;
	if (copy_texts(&t->servers, &t->n_servers, servers, n_servers) && copy_tls(t, tls))
		return t;
	free_target(t);
	return NULL;
}

struct mt_grpc_target *mt_grpc_target_hold(struct mt_grpc_target *t)
{
	__atomic_fetch_add(&t->refs, 1, __ATOMIC_RELAXED);
	return t;
}

void mt_grpc_target_drop(struct mt_grpc_target *t)
{
	if (t && __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free_target(t);
}

bool mt_grpc_target_has_tls(const struct mt_grpc_target *t)
{
	return t->has_tls;
}

void mt_grpc_target_fill(const struct mt_grpc_target *t, struct mt_grpc_conf *conf)
{
	conf->servers = (const char *const *)t->servers;
	conf->n_servers = t->n_servers;
	conf->tls = t->has_tls ? &t->tls : NULL;
}
