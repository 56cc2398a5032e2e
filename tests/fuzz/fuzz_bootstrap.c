/* SPDX-License-Identifier: Apache-2.0 */
/* A bootstrap from nowhere good: refused with errors that name lines, or one whose servers can be asked. */
#include "fuzz.h"
#include "mt_xds_boot.h"

#include <string.h>

static void check_pem(const struct mt_xds_pem *p)
{
	MT_ASSERT((p->file != NULL) + (p->text != NULL) + (p->secret != NULL) <= 1);
}

static void check_server(const struct mt_xds_server *s)
{
	MT_ASSERT(s->name && *s->name);
	for (uint32_t i = 0; i < s->n_addresses; i++)
		MT_ASSERT(
			strncmp(s->addresses[i], "unix:", 5) == 0 || strchr(s->addresses[i], ':'));
	MT_ASSERT(!s->unusable || (s->remedy && s->line && !s->n_addresses));
	if (!s->tls)
		return;
	check_pem(&s->tls->roots);
	check_pem(&s->tls->chain);
	check_pem(&s->tls->key);
	for (uint32_t i = 0; i < s->tls->n_sans; i++)
		MT_ASSERT(s->tls->sans[i] && *s->tls->sans[i]);
}

/* What is asked for is asked of a server that has an address, over TLS with somebody to trust. */
static void check_way(const struct mt_xds_bootstrap *b, const struct mt_xds_way *w)
{
	const struct mt_xds_server *s;

	if (!w->server)
		return;
	s = mt_xds_server_find(b, w->server);
	MT_ASSERT(s && s->n_addresses && !s->unusable);
	if (s->tls)
		MT_ASSERT(s->tls->roots.file || s->tls->roots.text || s->tls->roots.secret);
	for (uint32_t i = 0; i < w->n_headers; i++)
		MT_ASSERT(*w->headers[i].name && w->headers[i].value);
}

static void check(const struct mt_xds_bootstrap *b)
{
	size_t len = protobuf_c_message_get_packed_size(&b->node->base);

	MT_ASSERT(*b->node->id && len);
	for (uint32_t i = 0; i < b->n_servers; i++)
		check_server(&b->servers[i]);
	MT_ASSERT(b->lds.server || b->cds.server);
	check_way(b, &b->ads);
	check_way(b, &b->lds);
	check_way(b, &b->cds);
	for (uint32_t i = 0; i < b->n_unused; i++)
		MT_ASSERT(b->unused[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_xds_bootstrap *b;
	struct mt_diags diags;

	mt_diags_init(&diags);
	b = mt_xds_bootstrap_text(&diags, "fuzz", (const char *)data, size);
	MT_ASSERT((b == NULL) == (diags.errors > 0));
	for (uint32_t i = 0; i < diags.n; i++)
		MT_ASSERT(diags.items[i].origin.line ||
			  strstr(diags.items[i].message, "no document") || !diags.items[i].path);
	if (b)
		check(b);
	mt_xds_bootstrap_free(b);
	mt_diags_fini(&diags);
	return 0;
}
