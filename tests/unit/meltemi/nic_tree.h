/* SPDX-License-Identifier: Apache-2.0 */
/* A temporary directory with the files of a made-up host. */
#pragma once

#include "nic.h"

/* Makes an empty tree, with a struct nic on it; the tree stays until tree_free(). */
struct nic *tree_new(void);
void tree_free(struct nic *n);

/* Writes a file, or makes a link, with the directories above it. */
void tree_file(const struct nic *n, const char *text, const char *fmt, ...) mt_printf(3, 4);
void tree_link(const struct nic *n, const char *to, const char *fmt, ...) mt_printf(3, 4);
void tree_directory(const struct nic *n, const char *fmt, ...) mt_printf(2, 3);

/* A network card with the ids, a driver and an IOMMU group; NULL and -1: without one. */
void tree_card(
	const struct nic *n, const char *pci, const char *ids, const char *driver, int group);
/* Its interface, which is up, at 25 Gbit/s, with 4 queues. `virtio`: below such a device. */
void tree_interface(const struct nic *n, const char *pci, const char *virtio, const char *name);
/* An address of an interface. */
void tree_address(struct nic *n, const char *interface, const char *text);
