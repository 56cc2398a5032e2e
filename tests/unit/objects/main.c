/* SPDX-License-Identifier: Apache-2.0 */
#include "../tls/pki.h"
#include "objects_test.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"status", status_tests}, {"delegates", delegates_tests},
		{"gateway_api", gateway_api_tests}, {"held", held_tests}, {"order", order_tests},
		{"document", document_tests}, {"mesh", mesh_tests},
		{"kubernetes", kubernetes_tests}, {"filters", filters_tests},
		{"notes", notes_tests}, {"material", material_tests}, {"proxies", proxies_tests},
		{"refused", refused_tests}, {"confined", confined_tests}, {"owns", owns_tests},
		{"owns in DNS", owns_dns_tests}, {"owns of endpoints", owns_endpoints_tests},
		{"owns and history", owns_history_tests}, {"owns of routes", owns_routes_tests},
		{"shares", shares_tests}, {"standing", standing_tests},
		{"short_names", short_names_tests}, {"one_dot", one_dot_tests},
		{"held_workloads", held_workloads_tests}, {"lists", lists_tests},
		{"memory", memory_tests}, {"work", work_tests},
		{"work of gateways", work_gateways_tests}, {"work of conditions", work_conds_tests},
		{"work of limits", work_limits_tests}, {"work of policies", work_policies_tests},
		{"work of texts", work_texts_tests}, {"work of tables", work_tables_tests}, {0}};

	int rc = mt_test_main(suites, argc, argv);

	pki_end();
	return rc;
}
