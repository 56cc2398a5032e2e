/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "../../eal_unpinned.h"

#include "mt_base.h"
#include "mt_buf.h"

int main(int argc, char **argv)
{
	static char *eal[] = {"unit_worker", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=critical", "-l", "0"};
	const struct mt_suite suites[] = {{"turn", turn_tests}, {"control", control_tests},
		{"names", names_tests}, {"guests", guests_tests}, {0}};

	if (eal_init_unpinned((int)MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() != 0)
		return EXIT_FAILURE;
	return mt_test_main(suites, argc, argv);
}
