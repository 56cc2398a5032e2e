/* SPDX-License-Identifier: Apache-2.0 */
#include "source_test.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"yaml", yaml_tests}, {"documents", documents_tests},
		{"reference", reference_tests}, {"bad_input", bad_input_tests},
		{"watch", watch_tests}, {"watch_tree", watch_tree_tests}, {"cache", cache_tests},
		{"beneath", beneath_tests}, {"empty texts", empty_tests},
		{"confined", confined_tests}, {"lists", lists_tests}, {"patches", patches_tests},
		{"node_guests", node_guests_tests}, {"node_owns", node_owns_tests},
		{"codecs", codecs_tests}, {"traffic_policy", traffic_policy_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
