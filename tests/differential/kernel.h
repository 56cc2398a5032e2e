/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side: what its three files share. */
#pragma once

#include "diff.h"

/* One sequence while it runs. */
struct df_slot {
	struct df_track t;
	struct df_trace *trace;
	int fd; /* -1: the application has no connection */
	bool reading, shut, open;
	bool acting; /* what it is sent now, it is sent for its own step */
	uint32_t read, written;
};

/* ---- kernel_world.c ---- */
/* The TAP's frames: -1 with errno. */
int df_tap_read(uint8_t *frame, uint32_t size);
void df_tap_write(const uint8_t *frame, uint32_t len);
/* Waits for a frame; false: none came within `us`. */
bool df_tap_wait(uint32_t us);
/* The listening socket of an address family. */
int df_listener(bool v6);
/* A port of the peer's that this namespace has not seen; a new namespace when all were used. */
bool df_ports_for(uint32_t n);
uint16_t df_port(void);
/* The state of a connection, asked for by netlink. */
uint8_t df_kernel_state(const struct df_track *t);

/* ---- kernel_app.c ---- */
/* Takes what the listeners have; `of` finds the slot of a peer's port. */
void df_app_accept(bool v6, struct df_slot *(*of)(uint16_t port));
void df_app_call(struct df_slot *s, const struct df_step *st);
/* Reads, and notes what the socket tells. */
void df_app_look(struct df_slot *s);
void df_app_end(struct df_slot *s);
