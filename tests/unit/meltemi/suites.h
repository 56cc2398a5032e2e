/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test nic_tests[], nic_node_tests[], nic_rights_tests[], redact_tests[],
	streams_tests[], client_tests[];
