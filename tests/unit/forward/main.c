/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_buf.h"

#include "../../eal_unpinned.h"
#include "suites.h"

int main(int argc, char **argv)
{
	/* Two tables of both families, 64 MB each, and room for the largest groups. */
	static char *eal[] = {"unit_forward", "--no-huge", "-m", "512", "--no-pci",
		"--no-telemetry", "--no-shconf", "--log-level=critical", "-l", "0"};
	const struct mt_suite suites[] = {{"routes", routes_tests}, {"packet", packet_tests}, {0}};

	if (eal_init_unpinned(sizeof(eal) / sizeof(eal[0]), eal) < 0 || mt_buf_init() != 0)
		return EXIT_FAILURE;
	return mt_test_main(suites, argc, argv);
}
