/* SPDX-License-Identifier: Apache-2.0 */
#include "traced.h"

#include <string.h>

struct mt_call_tracing traced;
struct fake_conn *traced_client;

struct mt_service *traced_service(uint32_t listener)
{
	return lab.snap->listeners[listener].protos->services[0];
}

void traced_listener(uint32_t listener)
{
	mt_call_tracing_keys(&traced, lab.snap->listeners[listener].protos->codec);
	traced_service(listener)->tracing = &traced;
}

void traced_start(double percent, uint8_t write, bool attempts)
{
	scene_start(2);
	scene_patient();
	memset(&toy_noted, 0, sizeof(toy_noted));
	mt_proxy_set_sampling(lab.p, 0); /* exemplars read metadata, too */
	traced = (struct mt_call_tracing){.attempts = attempts,
		.rule = {.threshold = mt_tracing_threshold(percent),
			.write = write,
			.trace_len = MT_TRACE_ID}};
	traced_listener(DUBBO);
	traced_client = lab_client(CONFIG_DUBBO);
}

void traced_stop(void)
{
	if (traced_client->live)
		lab_close(traced_client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	scene_stop();
}
