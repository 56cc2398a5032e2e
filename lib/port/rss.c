/* SPDX-License-Identifier: Apache-2.0 */
/* Reads back the key and the redirection table of a device with RSS. */
#include "compat.h"
#include "mt_port_priv.h"

#include <errno.h>
#include <string.h>

static int read_key(uint16_t id, const struct rte_eth_dev_info *info, struct mt_port_rss_state *s)
{
	struct rte_eth_rss_conf conf = {.rss_key = s->key};
	int rc;

	/* Drivers compare the length with their own; a driver that reports none has 40 bytes. */
	s->key_len = info->hash_key_size ? info->hash_key_size : 40;
	if (s->key_len > sizeof(s->key))
		return -ENOTSUP;
	conf.rss_key_len = (uint8_t)s->key_len;
	rc = rte_eth_dev_rss_hash_conf_get(id, &conf);
	if (rc == 0 && conf.rss_key_len && conf.rss_key_len < s->key_len)
		s->key_len = conf.rss_key_len;
	return rc;
}

static int read_reta(uint16_t id, const struct rte_eth_dev_info *info, struct mt_port_rss_state *s)
{
	struct rte_eth_rss_reta_entry64 reta[MT_PORT_RETA_MAX / RTE_ETH_RETA_GROUP_SIZE];
	int rc;

	if (info->reta_size == 0 || info->reta_size > MT_PORT_RETA_MAX)
		return -ENOTSUP;
	memset(reta, 0, sizeof(reta));
	for (uint16_t i = 0; i < info->reta_size; i++)
		reta[i / RTE_ETH_RETA_GROUP_SIZE].mask |= UINT64_C(1)
							  << i % RTE_ETH_RETA_GROUP_SIZE;
	rc = rte_eth_dev_rss_reta_query(id, reta, info->reta_size);
	s->reta_len = info->reta_size;
	for (uint16_t i = 0; rc == 0 && i < info->reta_size; i++)
		s->reta[i] = reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
	return rc;
}

int mt_port_rss_read(const struct mt_port *p, struct mt_port_rss_state *s)
{
	struct rte_eth_dev_info info;
	int rc;

	memset(s, 0, sizeof(*s));
	if (!p->caps.rss)
		return -ENOTSUP;
	rc = rte_eth_dev_info_get(p->dpdk_id, &info);
	if (rc == 0)
		rc = read_key(p->dpdk_id, &info, s);
	return rc ? rc : read_reta(p->dpdk_id, &info, s);
}
