/* SPDX-License-Identifier: Apache-2.0 */
/* Which server sees the second attempt of a call, where there are several (route "a"). */
#include "app_rpc_priv.h"
#include "link.h"

void rpc_note_host(const struct rpc_server *v, const struct wire_msg *m)
{
	const uint32_t call = sim_get32(m->body + 4);
	struct rpc_client *c = &v->set->client[sim_get32(m->body)];

	if (v->mirror || m->route != 'a')
		return;
	if (c->seen[call] == 1)
		c->ran_on[call] = (uint8_t)(1 + v->no);
	if (c->seen[call] != 2)
		return;
	v->set->second++;
	v->set->second_same += c->ran_on[call] == 1 + v->no;
}
