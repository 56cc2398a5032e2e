/* SPDX-License-Identifier: Apache-2.0 */
#include "codecfile_test.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"mistakes", mistakes_tests}, {"frames", frames_tests},
		{"tiny", tiny_tests}, {"ids", id_tests}, {"edges", edge_tests},
		{"mutate", mutate_tests}, {"templates", template_tests}, {"page", page_tests},
		{"given", given_tests}, {"view", view_tests}, {"store", store_tests},
		{"sums", sum_tests}, {"conditions", condition_tests}, {"formats", format_tests},
		{"numbers", number_tests}, {"values", value_tests}, {"cost", cost_tests}, {0}};
	int rc;

	if (env_init())
		return EXIT_FAILURE;
	rc = mt_test_main(suites, argc, argv);
	mt_pools_fini(&env_pools);
	return rc;
}
