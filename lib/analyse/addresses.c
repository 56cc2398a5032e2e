/* SPDX-License-Identifier: Apache-2.0 */
/* Checks address blocks that are wider than they look. */
#include "mt_analyse_priv.h"

#include <stdio.h>
#include <string.h>

static bool is_v4(const char *s)
{
	return strchr(s, ':') == NULL;
}

/* A private network that is a proper part of the block; NULL: none. */
static const char *private_within(const struct mt_addr *net, uint8_t bits, bool v4)
{
	static const char *const private[] = {
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"};

	for (size_t i = 0; i < MT_ARRAY_LEN(private); i++) {
		struct mt_addr p;
		uint8_t n;

		if (is_v4(private[i]) != v4 || mt_prefix_parse(private[i], &p, &n))
			continue;
		if (bits < n && mt_prefix_contains(net, bits, &p))
			return private[i];
	}
	return NULL;
}

/* True if the address has bits set after the prefix. */
static bool has_host_bits(const struct mt_addr *net, uint8_t bits, bool v4)
{
	uint32_t first = v4 ? bits + 96u : bits;

	for (uint32_t i = first; i < 128; i++)
		if (net->b[i / 8] & (0x80 >> i % 8))
			return true;
	return false;
}

/* True for an address that no host has: its last byte is zero, for IPv6 its last eight. */
static bool is_network(const struct mt_addr *net, bool v4)
{
	for (uint32_t i = v4 ? 15 : 8; i < 16; i++)
		if (net->b[i])
			return false;
	return true;
}

static const char *masked(struct mt_addr net, uint8_t bits, bool v4, char *buf, size_t size)
{
	char addr[MT_ADDR_STRLEN];

	for (uint32_t i = v4 ? bits + 96u : bits; i < 128; i++)
		net.b[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	snprintf(buf, size, "%s/%u", mt_addr_str(&net, addr), bits);
	return buf;
}

static void check_block(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t, bool wanted)
{
	bool v4 = is_v4(t->s), allow = w->p->action.v == MT_POLICY_ALLOW;
	const char *private;
	char text[MT_ADDR_STRLEN + 8];
	struct mt_addr net;
	uint8_t bits;

	if (mt_prefix_parse(t->s, &net, &bits))
		return;
	if (bits == 0) {
		if (wanted && allow)
			mt_an_found(a, MT_FINDING_ID_open_addresses, &w->p->meta, t->line,
				"%s is every address of IPv%c", t->s, v4 ? '4' : '6');
		else if (!wanted)
			mt_an_found(a, MT_FINDING_ID_impossible_rule, &w->p->meta, t->line,
				"%s is left out: that is every address of IPv%c", t->s,
				v4 ? '4' : '6');
		return;
	}
	private = private_within(&net, bits, v4);
	if (bits == (v4 ? 32 : 128) && !strchr(t->s, '/') && is_network(&net, v4))
		mt_an_found(a, MT_FINDING_ID_one_address, &w->p->meta, t->line,
			"%s is that address alone, which is a network's", t->s);
	else if (private)
		mt_an_found(a, MT_FINDING_ID_wide_addresses, &w->p->meta, t->line,
			"%s is %s and public addresses around it", t->s, private);
	else if (has_host_bits(&net, bits, v4))
		mt_an_found(a, MT_FINDING_ID_host_bits, &w->p->meta, t->line, "%s is %s", t->s,
			masked(net, bits, v4, text, sizeof(text)));
}

static void blocks(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_texts *l, bool wanted)
{
	for (uint32_t i = 0; i < l->n; i++)
		check_block(a, w, &l->v[i], wanted);
}

void mt_an_addresses(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_source *s)
{
	const struct mt_texts *remote =
		s->remote_ip_blocks.n ? &s->remote_ip_blocks : &s->not_remote_ip_blocks;

	blocks(a, w, &s->ip_blocks, true);
	blocks(a, w, &s->remote_ip_blocks, true);
	blocks(a, w, &s->not_ip_blocks, false);
	blocks(a, w, &s->not_remote_ip_blocks, false);
	/* A policy that is enforced nowhere has another finding instead. */
	if (remote->n && mt_an_policy_use_of(a, w->p->meta.serial))
		mt_an_found(a, MT_FINDING_ID_remote_addresses, &w->p->meta, remote->v[0].line,
			"%s is compared with the address of the peer, as ipBlocks would be",
			remote->v[0].s);
}
