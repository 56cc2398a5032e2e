/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "doctor.h"

/* Stands in for doctor.c, which needs a daemon's socket. */
void doctor_found(struct doctor *d, enum doctor_state s, const char *about, const char *remedy,
	const char *fmt, ...)
{
	d->n++;
}

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"nic", nic_tests}, {"nic node", nic_node_tests},
		{"nic rights", nic_rights_tests}, {"redact", redact_tests},
		{"client", client_tests}, {"streams", streams_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
