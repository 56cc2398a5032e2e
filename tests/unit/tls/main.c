/* SPDX-License-Identifier: Apache-2.0 */
#include "../../eal_unpinned.h"
#include "allocate.h"
#include "scene.h"

#include "pki.h"

struct mt_pools tls_pools, tls_worker_pools[2];
struct mt_aead *tls_aead[3];

uint32_t tls_unhex(const char *hex, uint8_t *out)
{
	uint32_t n = 0;

	for (unsigned int v; sscanf(hex, " %2x", &v) == 1; hex += 2) {
		hex += strspn(hex, " ");
		out[n++] = (uint8_t)v;
	}
	return n;
}

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"ClientHello", hello_tests}, {"keys", kdf_tests},
		{"providers", aead_tests}, {"allocations", allocate_tests},
		{"reading records", record_read_tests}, {"wrong records", record_bad_tests},
		{"writing records", record_write_tests},
		{"records beside OpenSSL", record_openssl_tests}, {"handshakes", handshake_tests},
		{"refusals", refuse_tests}, {"sessions", session_tests},
		{"Finished", finished_tests}, {"connections", seam_tests}, {"streams", layer_tests},
		{"streams that begin", layer_begin_tests},
		{"what is taken back", layer_reclaim_tests},
		{"streams without buffers", layer_starved_tests}, {"threads", pool_tests}, {0}};
	char *eal[] = {"unit", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0"};
	int rc;

	MT_ASSERT(allocate_count());
	if (eal_init_unpinned(MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() ||
		mt_pools_init(&tls_pools, "t", 8191, 255, MT_BUF_DATA_ROOM, SOCKET_ID_ANY) ||
		mt_pools_init(
			&tls_worker_pools[0], "w0", 2047, 255, MT_BUF_DATA_ROOM, SOCKET_ID_ANY) ||
		mt_pools_init(
			&tls_worker_pools[1], "w1", 2047, 255, MT_BUF_DATA_ROOM, SOCKET_ID_ANY)) {
		fprintf(stderr, "EAL does not start\n");
		return EXIT_FAILURE;
	}
	/* Fewer places than keys, so that they are displaced. */
	tls_aead[0] = mt_aead_new(MT_AEAD_OPENSSL, 2, SOCKET_ID_ANY);
	MT_ASSERT(tls_aead[0]);
	tls_aead[1] = mt_aead_new(MT_AEAD_IPSEC_MB, 2, SOCKET_ID_ANY);
	rc = mt_test_main(suites, argc, argv);
	pki_end();
	mt_aead_free(tls_aead[0]);
	mt_aead_free(tls_aead[1]);
	mt_pools_fini(&tls_worker_pools[0]);
	mt_pools_fini(&tls_worker_pools[1]);
	mt_pools_fini(&tls_pools);
	return rc;
}
