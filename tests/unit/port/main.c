/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_port_boot.h"

#include "../../eal_unpinned.h"
#include "suites.h"
#include "vhost_test.h"

#include <string.h>

static struct mt_pools pools[2];
struct mt_pools *test_pools[2] = {&pools[0], &pools[1]};

int main(int argc, char **argv)
{
	static char *eal[] = {"unit_port", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=critical", "-l", "0"};
	const struct mt_suite suites[] = {{"profile", profile_tests},
		{"arguments", arguments_tests}, {"device", device_tests},
		{"run_dir", run_dir_tests}, {"claim", claim_tests}, {"mtu", mtu_tests},
		{"socket", socket_tests}, {"lost", lost_tests}, {"vhost", vhost_tests},
		{"vhost_messages", vhost_messages_tests}, {"guests", guests_tests},
		{"guest_list", guest_list_tests}, {"guest_hub", guest_hub_tests}, {0}};
	int rc;

	if (argc == 5 && strcmp(argv[1], "--guest") == 0)
		return guest_main(argv[2], argv[3], argv[4]);
	if (eal_init_unpinned((int)MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() != 0 ||
		mt_pools_init(&pools[0], "t0", 2047, 511, MT_BUF_DATA_ROOM, 0) != 0 ||
		mt_pools_init(&pools[1], "t1", 2047, 511, MT_BUF_DATA_ROOM, 0) != 0)
		return EXIT_FAILURE;
	rc = mt_test_main(suites, argc, argv);
	mt_pools_fini(&pools[0]);
	mt_pools_fini(&pools[1]);
	return rc;
}
