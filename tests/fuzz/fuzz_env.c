/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "../eal_unpinned.h"

#include <string.h>

#define N_DATA 32767
#define N_CTRL 8191

static struct mt_pools pools;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static void free_pools(void)
{
	mt_pools_fini(&pools);
}

struct mt_pools *fuzz_pools(void)
{
	char *args[] = {"fuzz", "--no-huge", "-m", "256", "--no-pci", "--no-telemetry",
		"--log-level=error", "-l", "0", "--no-shconf"};

	if (!pools.data) {
		MT_ASSERT(eal_init_unpinned((int)MT_ARRAY_LEN(args), args) >= 0);
		MT_ASSERT(mt_buf_init() == 0);
		MT_ASSERT(mt_pools_init(&pools, "fuzz", N_DATA, N_CTRL, MT_BUF_DATA_ROOM,
				  SOCKET_ID_ANY) == 0);
		atexit(free_pools);
	}
	return &pools;
}

void fuzz_check_pools(void)
{
	/* An input without packets, such as the empty one that libFuzzer runs first. */
	if (!pools.data)
		return;
	MT_ASSERT(rte_mempool_in_use_count(pools.data) == 0);
	MT_ASSERT(rte_mempool_in_use_count(pools.ctrl) == 0);
}

void fuzz_append(struct mt_chain *c, const uint8_t *data, uint32_t size, uint32_t piece)
{
	while (size > 0) {
		struct rte_mbuf *m = mt_buf_data(fuzz_pools());
		uint32_t part = MT_MIN(size, piece);

		MT_ASSERT(m);
		part = MT_MIN(part, (uint32_t)(m->buf_len - m->data_off));
		memcpy((uint8_t *)m->buf_addr + m->data_off, data, part);
		mt_chain_append(c, m, m->data_off, part);
		data += part;
		size -= part;
	}
}
