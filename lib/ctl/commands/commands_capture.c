/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that capture the bytes of packets and messages. */
#include "mt_ctl_capture_priv.h"

const struct mt_command mt_commands_capture[] = {
	{.words = "capture start",
		.args = "[EXPRESSION...]",
		.help = "copy the bytes of packets or messages; `meltemi capture FILE` writes them "
			"down",
		.more = "capture start [packets|messages [client|endpoint]] [EXPRESSION] [count N] "
			"[seconds N] [snaplen N]\n"
			"\n"
			"This is the daemon's part; `meltemi capture FILE ...` takes the same "
			"words, "
			"reads what there is and writes it as pcapng, to a file or (FILE `-`) to "
			"tshark. Packets are taken as a port receives them and as a port is given "
			"them, with the exchanges that they carry as comments. Messages are taken "
			"decoded, of exchanges that ended: on the client's side before the "
			"filters, "
			"on the endpoint's side behind them. It ends by itself: after N records "
			"(10000), after N seconds (60, at most 3600), or when nobody has read it "
			"for "
			"10 seconds. snaplen: bytes kept of a packet (65535) or a message (4096, "
			"at "
			"most 16384). Whoever may capture sees what clients send: it is logged.",
		.role = MT_ROLE_OPERATE,
		.offer = mt_capture_offer,
		.run = mt_capture_start},
	{.words = "capture read",
		.args = "ID",
		.help = "what was captured since the last time; each record is given once",
		.more = "ID is what `capture start` answered. Bytes are base64. `more` false: that "
			"was all.",
		.role = MT_ROLE_OPERATE,
		.run = mt_capture_read},
	{.words = "capture stop",
		.args = "",
		.help = "end the capture; what was taken can still be read for 10 seconds",
		.role = MT_ROLE_OPERATE,
		.run = mt_capture_stop},
	{.words = "show capture",
		.args = "",
		.help = "the capture that runs, or the last one: who, what, how many, what was "
			"lost",
		.run = mt_capture_show},
	{0},
};
