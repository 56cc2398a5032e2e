/* SPDX-License-Identifier: Apache-2.0 */
#include "source_test.h"

#include <signal.h>
#include <string.h>

struct loaded load_text(const char *text)
{
	struct loaded l = {.m = mt_model_new()};

	mt_diags_init(&l.diags);
	mt_source_text(l.m, &l.diags, "t", text, strlen(text));
	return l;
}

void unload(struct loaded *l)
{
	mt_diags_fini(&l->diags);
	mt_model_free(l->m);
}

const char *first_diag(const struct loaded *l)
{
	static char line[1024];
	uint32_t i = 0;

	if (!l->diags.n)
		return "";
	while (i + 1 < l->diags.n && l->diags.items[i].severity != MT_DIAG_ERROR)
		i++;
	mt_diag_format(&l->diags.items[i], line, sizeof(line));
	/* Without "t:". */
	return line + 2;
}

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"yaml", yaml_tests}, {"documents", documents_tests},
		{"watch", watch_tests}, {"cache", cache_tests}, {"pb", pb_tests},
		{"grpc", grpc_tests}, {"ads", ads_tests}, {"bundle", bundle_tests},
		{"renew", renew_tests}, {"secrets", secrets_tests}, {"identity", identity_tests},
		{"map", map_tests}, {"map_listener", map_listener_tests},
		{"map_refuse", map_refuse_tests}, {"map_digest", map_digest_tests},
		{"bootstrap", bootstrap_tests}, {"xds", xds_tests}, {"trial", trial_tests},
		{"demand", demand_tests}, {"names", names_tests}, {0}};

	/* As the daemon does: OpenSSL writes to sockets whose other end is gone. */
	signal(SIGPIPE, SIG_IGN);
	return mt_test_main(suites, argc, argv);
}
