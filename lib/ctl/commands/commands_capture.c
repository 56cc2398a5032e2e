/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that capture the bytes of packets and messages. */
#include "mt_ctl_capture_priv.h"

const struct mt_command mt_commands_capture[] = {
	{.words = "capture start",
		.group = MT_GROUP_EXPLAIN,
		.args = "[EXPRESSION...]",
		.help = "copy the bytes of packets or messages; `meltemi capture FILE` writes them "
			"down",
		.more = "capture start [packets|messages [client|endpoint]] [EXPRESSION] [count N] "
			"[seconds N] [snaplen N]\n\nThis is the daemon's part; `meltemi capture "
			"FILE ...` accepts the same words, reads the records and writes them as "
			"pcapng, to a file or (FILE `-`) to tshark. Packets are captured as a port "
			"receives or sends them, with the exchanges that they carry as comments. "
			"Messages are captured decoded, when their exchange has ended: on the "
			"client's side before the filters, on the endpoint's side after them. The "
			"capture ends by itself: after N records (10000), after N seconds (60, at "
			"most 3600), or when no client has read it for 10 seconds. snaplen: bytes "
			"kept of a packet (65535) or a message (4096, at most 16384). A capture "
			"shows the data of clients, so it is logged.",
		.operate = true,
		.offer = mt_capture_offer,
		.run = mt_capture_start},
	{.words = "capture read",
		.group = MT_GROUP_EXPLAIN,
		.args = "ID",
		.help = "records captured since the last read; each record is returned once",
		.more = "ID is the answer of `capture start`. Bytes are base64. `more` false: no "
			"records are left.",
		.operate = true,
		.run = mt_capture_read},
	{.words = "capture stop",
		.group = MT_GROUP_EXPLAIN,
		.help = "end the capture; its records can still be read for 10 seconds",
		.operate = true,
		.run = mt_capture_stop},
	{.words = "show capture",
		.help = "the current or last capture: user, expression, records, lost records",
		.run = mt_capture_show},
	{0},
};
