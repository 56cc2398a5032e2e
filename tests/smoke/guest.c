/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual machine without an emulator: DPDK's virtio_user is its card, and makes the vhost-user
 * socket as a hypervisor does. All frames pass between the card and a TAP interface, so that the
 * kernel of the TAP's network namespace is the guest's: guest SOCKET TAP
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>

#include <rte_bus_vdev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "../eal_unpinned.h"

#define DEVICE "net_virtio_user0"
#define BURST  32
#define IDLE   100  /* us */
#define LOOKS  1000 /* idle turns between two looks at the link */

static int open_tap(const char *name)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0)
		return fd;
	perror(name);
	return -1;
}

static bool start_card(const char *socket, struct rte_mempool *pool, uint16_t *port)
{
	struct rte_eth_conf conf = {0};
	char args[160];

	unlink(socket); /* of a guest that was killed */
	snprintf(args, sizeof(args), "path=%s,server=1,queues=1,queue_size=256", socket);
	return rte_eal_hotplug_add("vdev", DEVICE, args) == 0 &&
	       rte_eth_dev_get_port_by_name(DEVICE, port) == 0 &&
	       rte_eth_dev_configure(*port, 1, 1, &conf) == 0 &&
	       rte_eth_rx_queue_setup(*port, 0, 256, 0, NULL, pool) == 0 &&
	       rte_eth_tx_queue_setup(*port, 0, 256, 0, NULL) == 0 && rte_eth_dev_start(*port) == 0;
}

/* Returns the number of frames. A TAP that is down takes none. */
static uint16_t from_card(uint16_t port, int tap)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n = rte_eth_rx_burst(port, 0, pkts, BURST);

	for (uint16_t i = 0; i < n; i++)
		if (rte_pktmbuf_linearize(pkts[i]) == 0)
			(void)!write(tap, rte_pktmbuf_mtod(pkts[i], void *), pkts[i]->data_len);
	rte_pktmbuf_free_bulk(pkts, n);
	return n;
}

static uint16_t from_tap(uint16_t port, int tap, struct rte_mempool *pool)
{
	struct rte_mbuf *m;
	uint16_t n = 0;
	ssize_t len;

	while (n < BURST && (m = rte_pktmbuf_alloc(pool))) {
		len = read(tap, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
		if (len <= 0) {
			rte_pktmbuf_free(m);
			break;
		}
		m->data_len = (uint16_t)len;
		m->pkt_len = (uint32_t)len;
		if (rte_eth_tx_burst(port, 0, &m, 1) == 0)
			rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

int main(int argc, char **argv)
{
	static char *eal[] = {"guest", "--no-huge", "-m", "32", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=critical", "-l", "0"};
	struct rte_mempool *pool;
	struct rte_eth_link link;
	uint16_t port;
	int tap;

	if (argc != 3) {
		fprintf(stderr, "guest SOCKET TAP\n");
		return EXIT_FAILURE;
	}
	tap = open_tap(argv[2]);
	if (tap < 0 || eal_init_unpinned((int)RTE_DIM(eal), eal) < 0)
		return EXIT_FAILURE;
	pool = rte_pktmbuf_pool_create("guest", 2047, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (!pool || !start_card(argv[1], pool, &port)) {
		fprintf(stderr, "%s: the card does not start\n", argv[1]);
		return EXIT_FAILURE;
	}
	puts("ready");
	fflush(stdout);
	for (uint32_t idle = 0;;) {
		if (from_card(port, tap) + from_tap(port, tap, pool) > 0)
			continue;
		usleep(IDLE);
		/* Only a look lets the driver notice the end of a connection, and listen again. */
		if (++idle % LOOKS == 0)
			(void)rte_eth_link_get_nowait(port, &link);
	}
}
