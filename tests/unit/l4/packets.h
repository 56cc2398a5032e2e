/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets for the services of the scene, and what can be different about them. A change is made to
 * a good packet from C or C6 in one mbuf, with an Ethernet header of 14 bytes.
 */
#pragma once

#include "oneway.h"

#define C6 "2001:db8:1::1" /* the client */

/* A service of each mode. */
struct pk_service {
	const char *name;
	enum mt_l4_mode mode;
	const char *vip4, *vip6;
	uint16_t udp, tcp;
};

/* The service that is tested. */
extern const struct pk_service *pk_by;

bool pk_is4(const struct fx_pkt *p);
/* Start of the transport header; *proto: its protocol. */
uint16_t pk_transport(const uint8_t *b, uint16_t l2, uint8_t *proto);

void pk_as_it_is(struct fx_pkt *p);
void pk_options(struct fx_pkt *p);
void pk_source_route(struct fx_pkt *p);
void pk_hop_by_hop(struct fx_pkt *p);
void pk_destination_options(struct fx_pkt *p);
void pk_routing_header(struct fx_pkt *p);
void pk_traffic_class(struct fx_pkt *p);
void pk_may_be_fragmented(struct fx_pkt *p);
void pk_last_hop(struct fx_pkt *p);
void pk_hop_zero(struct fx_pkt *p);
void pk_two_hops(struct fx_pkt *p);
void pk_padded(struct fx_pkt *p);
/* The most that the port's MTU of 1500 takes with the outer headers of the mode; and a byte more. */
void pk_size_of_the_path(struct fx_pkt *p);
void pk_size_beyond_the_path(struct fx_pkt *p);
void pk_size_1500(struct fx_pkt *p);
void pk_no_payload(struct fx_pkt *p);
void pk_shorter_datagram(struct fx_pkt *p);
void pk_no_checksum(struct fx_pkt *p);
void pk_wrong_checksum(struct fx_pkt *p);
void pk_with_data(struct fx_pkt *p);
void pk_only_ack(struct fx_pkt *p);
void pk_only_rst(struct fx_pkt *p);
void pk_syn_ack(struct fx_pkt *p);
void pk_fin_ack(struct fx_pkt *p);
void pk_no_flags(struct fx_pkt *p);
void pk_syn_ecn(struct fx_pkt *p);
void pk_all_flags(struct fx_pkt *p);
void pk_source_port_0(struct fx_pkt *p);
void pk_udp_length_7(struct fx_pkt *p);
void pk_udp_length_beyond(struct fx_pkt *p);
void pk_tcp_offset_4(struct fx_pkt *p);
void pk_tcp_offset_15(struct fx_pkt *p);
void pk_cut(struct fx_pkt *p);
void pk_longer_than_frame(struct fx_pkt *p);
void pk_ip_checksum(struct fx_pkt *p);
void pk_ihl_4(struct fx_pkt *p);
void pk_ip_version(struct fx_pkt *p);
void pk_sctp(struct fx_pkt *p);
void pk_gre(struct fx_pkt *p);
void pk_in_ip(struct fx_pkt *p);
void pk_in_gue(struct fx_pkt *p);
void pk_another_port(struct fx_pkt *p);
void pk_echo(struct fx_pkt *p);
void pk_error_of_service(struct fx_pkt *p);
void pk_first_fragment(struct fx_pkt *p);
void pk_later_fragment(struct fx_pkt *p);
void pk_short_fragment(struct fx_pkt *p);
void pk_tiny_fragment(struct fx_pkt *p);
void pk_header_fragment(struct fx_pkt *p);
void pk_only_fragment(struct fx_pkt *p);
void pk_from_loopback(struct fx_pkt *p);
void pk_from_multicast(struct fx_pkt *p);
void pk_from_service(struct fx_pkt *p);
void pk_for_another_station(struct fx_pkt *p);
void pk_tagged(struct fx_pkt *p);
