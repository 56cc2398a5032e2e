/* SPDX-License-Identifier: Apache-2.0 */
/* The test program again as the process of a guest. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "../../eal_unpinned.h"
#include "suites.h"
#include "vhost_test.h"

#define DEVICE "net_virtio_user0"

static volatile sig_atomic_t ended;

static void on_term(int signal)
{
	(void)signal;
	ended = 1;
}

static bool start_device(const char *socket, uint16_t pairs, uint16_t *port)
{
	struct rte_eth_conf conf = {0};
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("guest", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	char args[160];

	snprintf(args, sizeof(args), "path=%s,server=1,queues=%u,queue_size=256", socket, pairs);
	if (!pool || rte_eal_hotplug_add("vdev", DEVICE, args) ||
		rte_eth_dev_get_port_by_name(DEVICE, port) ||
		rte_eth_dev_configure(*port, pairs, pairs, &conf))
		return false;
	for (uint16_t q = 0; q < pairs; q++)
		if (rte_eth_rx_queue_setup(*port, q, 256, 0, NULL, pool) ||
			rte_eth_tx_queue_setup(*port, q, 256, 0, NULL))
			return false;
	return rte_eth_dev_start(*port) == 0;
}

/* Sends each frame back, with the queue in its first byte. */
static void reflect(uint16_t port, uint16_t queue)
{
	struct rte_mbuf *pkts[32];
	uint16_t n = rte_eth_rx_burst(port, queue, pkts, MT_ARRAY_LEN(pkts)), sent;

	for (uint16_t i = 0; i < n; i++)
		*rte_pktmbuf_mtod(pkts[i], uint8_t *) = (uint8_t)queue;
	sent = n ? rte_eth_tx_burst(port, queue, pkts, n) : 0;
	rte_pktmbuf_free_bulk(pkts + sent, n - sent);
}

int guest_main(const char *socket, const char *pairs, const char *runs)
{
	static char *eal[] = {"guest", "--no-huge", "-m", "32", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=critical", "-l", "0"};
	uint16_t n = (uint16_t)strtoul(pairs, NULL, 10), port;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, on_term);
	if (eal_init_unpinned((int)MT_ARRAY_LEN(eal), eal) < 0 || !start_device(socket, n, &port))
		return EXIT_FAILURE;
	close(open(runs, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	while (!ended) {
		for (uint16_t q = 0; q < n; q++)
			reflect(port, q);
		usleep(100);
	}
	if (rte_eth_dev_stop(port) || rte_eal_hotplug_remove("vdev", DEVICE))
		return EXIT_FAILURE;
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}

pid_t guest_start(const struct vhost_port *v, uint16_t pairs)
{
	char number[8];
	pid_t pid;

	snprintf(number, sizeof(number), "%u", pairs);
	unlink(v->socket);
	unlink(v->runs);
	pid = fork();
	if (pid == 0) {
		close_range(3, ~0u, 0); /* the EAL leaves its memory open */
		execl("/proc/self/exe", "guest", "--guest", v->socket, number, v->runs,
			(char *)NULL);
		_exit(EXIT_FAILURE);
	}
	CU_ASSERT_FATAL(pid > 0);
	return pid;
}

bool guest_runs(const struct vhost_port *v)
{
	bool up = vhost_port_becomes(v, true);

	for (int i = 0; up && i < 2000 && access(v->runs, F_OK) != 0; i++)
		usleep(10000);
	return up && access(v->runs, F_OK) == 0;
}

void guest_end(pid_t guest, int signal)
{
	int status;

	kill(guest, signal);
	CU_ASSERT_EQUAL(waitpid(guest, &status, 0), guest);
	if (signal == SIGTERM)
		CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

void guest_truncate(pid_t guest)
{
	char path[300], target[64] = "";
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", guest);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%d/fd/%s", guest, e->d_name);
		len = readlink(path, target, sizeof(target) - 1);
		target[MT_MAX(len, 0)] = '\0';
		found = strncmp(target, "/memfd:", 7) == 0;
	}
	if (dir)
		closedir(dir);
	CU_ASSERT_FATAL(found);
	CU_ASSERT_EQUAL_FATAL(truncate(path, 0), 0);
}
