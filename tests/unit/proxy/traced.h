/* SPDX-License-Identifier: Apache-2.0 */
/* A scene whose calls are traced. */
#pragma once

#include "scene.h"

#include "mt_proxy_priv.h"

#define SAFE  0 /* listeners' indexes */
#define DUBBO 4

#define TRACE	"0af7651916cd43dd8448eb211c80319c"
#define SENDER	"b7ad6b7169203331"
#define SAMPLED "00-" TRACE "-" SENDER "-01"

extern struct mt_call_tracing traced;
extern struct fake_conn *traced_client; /* of the listener DUBBO */

struct mt_service *traced_service(uint32_t listener);
/* Calls of the listener are traced, too; its codec may have changed. */
void traced_listener(uint32_t listener);
/* A scene in which calls of Dubbo are drawn with this share, and get these formats. */
void traced_start(double percent, uint8_t write, bool attempts);
void traced_stop(void);
