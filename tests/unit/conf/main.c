/* SPDX-License-Identifier: Apache-2.0 */
#include "conf_test.h"
#include "tls/pki.h"

#include "../tls/pki.h"

#include <stdio.h>
#include <string.h>

struct mt_conf *new_conf(void)
{
	const struct mt_conf_options o = {.workers = 1};
	struct mt_err err;
	struct mt_conf *c = mt_conf_create(&o, &err);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

static struct built start(struct mt_conf *conf)
{
	struct built b = {.conf = conf ? conf : new_conf(), .m = mt_model_new()};

	mt_diags_init(&b.diags);
	return b;
}

struct built build_text(struct mt_conf *conf, const char *text)
{
	struct built b = start(conf);

	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	b.s = b.diags.errors ? NULL : mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	return b;
}

struct built build_files(const char *const *paths, size_t n)
{
	struct built b = start(NULL);

	for (size_t i = 0; i < n; i++)
		mt_source_file(b.m, &b.diags, paths[i]);
	b.s = b.diags.errors ? NULL : mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	return b;
}

void unbuild(struct built *b)
{
	if (b->s)
		mt_conf_discard(b->conf, b->s, NOW);
	mt_diags_fini(&b->diags);
	mt_model_free(b->m);
	mt_conf_destroy(b->conf);
}

bool has_diag(
	const struct built *b, enum mt_diag_severity severity, uint32_t line, const char *words)
{
	for (uint32_t i = 0; i < b->diags.n; i++) {
		const struct mt_diag *d = &b->diags.items[i];
		char text[1024];

		mt_diag_format(d, text, sizeof(text));
		if (d->severity == severity && d->origin.line == line && strstr(text, words))
			return true;
	}
	return false;
}

void show_diags(struct built *b)
{
	mt_diags_print(&b->diags, stderr);
}

const struct mt_cluster *cluster(const struct mt_snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (strcmp(s->clusters[i].name, name) == 0)
			return &s->clusters[i];
	CU_FAIL_FATAL("no such cluster");
	return NULL;
}

const char *endpoint(const struct mt_cluster *c, uint32_t i)
{
	static char name[MT_ADDR_STRLEN];

	CU_ASSERT_FATAL(i < c->n_eps);
	return mt_endpoint_name(&c->eps[i], name);
}

const struct mt_service *service(const struct mt_snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_services; i++)
		if (strcmp(s->services[i]->name, name) == 0)
			return s->services[i];
	CU_FAIL_FATAL("no such service");
	return NULL;
}

const struct mt_listener *listener(const struct mt_snapshot *s, const char *addr, uint16_t port)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(addr, &a), 0);
	return mt_snapshot_listener(s, &a, port);
}

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"compile", compile_tests}, {"dns", dns_tests},
		{"documents", documents_tests}, {"fields", fields_tests},
		{"fields_route", fields_route_tests}, {"istio", istio_tests},
		{"claims", claims_tests}, {"gateway_routes", gateway_routes_tests},
		{"labels", labels_tests}, {"peers", peers_tests}, {"forwarding", forwarding_tests},
		{"forward_past", forward_past_tests}, {"forward_policy", forward_policy_tests},
		{"forward_routes", forward_routes_tests}, {"forward_changes", forward_change_tests},
		{"drain", drain_tests}, {"patches", patches_tests}, {"locality", locality_tests},
		{"policies", policies_tests}, {"providers", providers_tests},
		{"global limits", global_limits_tests}, {"client limits", client_limits_tests},
		{"caller_index", caller_index_tests}, {"callers", callers_tests},
		{"careful", careful_tests}, {"ranges", ranges_tests}, {"inbound", inbound_tests},
		{"ends", ends_tests}, {"held", held_tests}, {"ends_gateway", ends_gateway_tests},
		{"mesh_ends", mesh_ends_tests}, {"bound", bound_tests},
		{"access_log", access_log_tests}, {"collectors", collectors_tests},
		{"kernel", kernel_tests}, {"policy_shared", policy_shared_tests},
		{"telemetry", telemetry_tests}, {"telemetry_istio", telemetry_istio_tests},
		{"tracing", tracing_tests}, {"tracing_tags", tracing_tags_tests},
		{"tracing_proxy", tracing_proxy_tests}, {"listeners", listeners_tests},
		{"mesh", mesh_tests}, {"mesh_chain", mesh_chain_tests},
		{"mesh_cluster", mesh_cluster_tests}, {"mesh_istio", mesh_istio_tests},
		{"mesh_limits", mesh_limits_tests}, {"mesh_random", mesh_random_tests},
		{"mesh_policies", mesh_policies_tests}, {"overrides", override_tests},
		{"owners", owners_tests}, {"owned names", owned_names_tests},
		{"watched", watched_tests}, {"tls_files", tls_files_tests},
		{"publish", publish_tests}, {"codecs", codecs_tests}, {"guests", guests_tests},
		{"node_guests", node_guests_tests}, {"growth", growth_tests},
		{"holders", holders_tests}, {"host_claims", host_claims_tests},
		{"binds", binds_tests}, {"references", references_tests},
		{"refusals", refusals_tests}, {"share", share_tests}, {"shares", shares_tests},
		{"served", served_tests}, {"tls", tls_tests}, {"tls_document", tls_document_tests},
		{"tls_names", tls_names_tests}, {"named", named_tests}, {"vips", vips_tests}, {0}};

	int rc = mt_test_main(suites, argc, argv);

	pki_end();
	return rc;
}
