/* SPDX-License-Identifier: Apache-2.0 */
/* Documents with a mistake: each is refused with its line, path and remedy. */
#include "codecfile_test.h"

#define HEAD "apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: test}\nspec:\n"

/* A sound document in parts; a row replaces one of them. Lines 5 and up. */
enum part { CALLS, PLACES, MATCH, FRAME, MESSAGES, ID, REST, PARTS };

static const char *const sound[PARTS] = {
	[CALLS] = "  calls: multiplexed\n",
	[PLACES] = "  places:\n"
		   "    magic: {at: 0, size: 2}\n"
		   "    length: {at: 2, size: 4}\n"
		   "    kind: {at: 6, size: 1}\n"
		   "    id: {at: 8, size: 4}\n"
		   "    name: {at: 12, count: 2}\n"
		   "    body: {after: name, to: 0, holds: protobuf}\n"
		   "    user: {in: body, find: 1.2}\n"
		   "    tail: {at: -1, size: 1}\n",
	[MATCH] = "  match: {magic: 0x1234}\n",
	[FRAME] = "  frame: {length: length, max: 1000}\n",
	[MESSAGES] = "  messages:\n"
		     "  - {is: request, from: client, when: {kind: 1}}\n"
		     "  - {is: reply, from: server, when: {kind: 2}}\n",
	[ID] = "  id: id\n",
	[REST] = "  metadata: {name: name}\n",
};

/* The places that the sound parts use, one of them with other keys. */
#define WIDE(keys)                                                                                 \
	"  places:\n    magic: {at: 0, " keys "}\n    length: {at: 2, size: 4}\n"                  \
	"    kind: {at: 6, size: 1}\n    id: {at: 8, size: 4}\n    name: {at: 12, count: 2}\n"

/* Local replies of these parts; the sound document's head of a reply, up to its id. */
#define REPLY(parts) "  localReplies: {write: [" parts "]}\n"
#define GOOD_HEAD    "{hex: 1234}, {length: all, size: 4}, {hex: 0200}"

/* Meltemi's heartbeat with a constant id. */
#define BEATS(id)                                                                                  \
	"  messages:\n  - {is: heartbeat, from: client, when: {kind: 3}}\n"                        \
	"  - {is: request, from: client}\n  - {is: heartbeat-reply, from: server, when: {id: "     \
	"1}}\n"                                                                                    \
	"  - {is: reply, from: server}\n  heartbeat: {send: [{hex: \"1234 0000000c 0300 " id       \
	"\"}], answer: [{hex: \"1234 0000000c 0400\"}, {value: id, size: 4}]}\n"

/* A message with three bytes of `name`, whose length is for that many. */
#define SAMPLE(from, is, id, name, bytes)                                                          \
	"  metadata: {name: name}\n  samples: {from: " from ", is: " is ", id: " id                \
	", metadata: {name: " name "}, hex: \"1234 00000011 01 00 00000005 0003 " HEX_##bytes      \
		"\"}\n"
#define HEX_abc	 "616263"
#define HEX_ab	 "6162"
#define HEX_abcd "61626364"

#define SIXTEEN "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16"

static const struct {
	enum part part;
	const char *text, *expect;
} rows[] = {
	/* keys */
	{CALLS, "",
		"5: error: spec: the Codec is missing its calls (add it: multiplexed or serial)"},
	{CALLS, "  calls: pinned\n", "5: error: spec.calls: "},
	{CALLS, "  calls: serial\n  streams: yes\n",
		"6: error: spec.streams: codec files cannot describe streams of messages (serve "
		"the port as opaque TCP)"},
	{CALLS, "  calls: serial\n  greeting: x\n", "codec files cannot describe a greeting"},
	{CALLS, "  calls: serial\n  fram: x\n",
		"6: error: spec.fram: unknown field (did you mean frame?)"},
	{CALLS, "  calls: serial\n  calls: serial\n", "spec.calls: written twice"},
	{CALLS, "  calls: serial\n  service: who\n",
		"6: error: spec.service: there is no metadata \"who\" (add it to metadata)"},
	/* places */
	{PLACES,
		"  places:\n    magic: {at: 0, size: 2}\n    length: {at: 2, size: 4}\n    kind: "
		"{at: 6, size: 1}\n"
		"    id: {at: 8, size: 3, type: decimal}\n    name: {at: 12, count: 2}\n",
		"the id has too few values to be shared by clients, or fewer than the ids of other "
		"messages (write \"calls: serial\")"},
	{PLACES, "  places: []\n",
		"6: error: spec.places: must be a map of names to places, is a list"},
	{PLACES, "  places: {id: {at: 0}}\n",
		"6: error: spec.places.id: it has no end (add one of size, count, length, to and "
		"until)"},
	{PLACES, "  places: {id: {size: 4}}\n",
		"spec.places.id: it has no position (add at: the offset, or after: another place)"},
	{PLACES, "  places: {id: {at: 0, size: 4, to: 0}}\n",
		"spec.places.id: its end is given twice"},
	{MATCH, "  match: {wide: 1}\n", "there is no place \"wide\""},
	{PLACES, WIDE("size: 9, type: number"),
		"7: error: spec.places.magic: numbers have 8 bytes at most (write a size of 8 at "
		"most, or type: text)"},
	{PLACES, "  places: {id: {at: 0, size: 4, type: varint}}\n",
		"6: error: spec.places.id: a varint ends with its last byte, wherever that is "
		"(remove size)"},
	{PLACES, "  places: {id: {at: 0, size: 4, type: zigzag}}\n",
		"6: error: spec.places.id: a varint ends with its last byte"},
	{PLACES, "  places: {id: {at: x, size: 4}}\n",
		"spec.places.id.at: \"x\" is not a number (write a whole number: 16, 0x10 or -4)"},
	{PLACES, "  places: {id: {at: 0, to: 4}}\n", "spec.places.id: to counts from the end"},
	{PLACES, "  places: {id: {at: 0, size: 4, ordr: big}}\n",
		"spec.places.id.ordr: unknown field (did you mean order?)"},
	{PLACES, "  places: {id: {find: x}}\n", "spec.places.id: find needs a container"},
	{PLACES, "  places: {a: {at: 0, until: \"123456789\"}}\n",
		"spec.places.a: too long a delimiter (write 8 characters at most)"},
	{PLACES, "  places: {a: {at: 0, to: 0, holds: {tlv: {tag: 1, length: 1, pad: 3}}}}\n",
		"3 is not an alignment"},
	{PLACES, "  places: {a: {at: 0, to: 0, holds: xml}}\n", "6: error: spec.places.a.holds: "},
	{PLACES, "  places: {a: {at: 0, to: 0, holds: {lines: {between: ab, end: c}}}}\n",
		"\"ab\" is not a character"},
	{PLACES, "  places: {a: {at: 0, size: 4}, b: {after: a, in: a, size: 1}}\n",
		"6: error: spec.places.b: a place after another one is in the same container "
		"(remove in)"},
	{PLACES, "  places: {a: {at: 0, size: 4}, b: {after: a, at: -1, size: 1}}\n",
		"6: error: spec.places.b: at counts from the end of the place before (write an "
		"offset that is not negative)"},
	/* references */
	{MATCH, "  match: {magik: 1}\n",
		"15: error: spec.match.magik: there is no place \"magik\" (did you mean magic?)"},
	{MATCH, "  match: {magic: abc}\n",
		"15: error: spec.match.magic: \"abc\" is compared with a number (write a number, "
		"or \"type: text\" at the place)"},
	{MATCH, "  match: {magic: {is: 1, not: 2}}\n",
		"spec.match.magic: a condition compares in one way"},
	{MATCH, "  match: {magic: {min: 2, max: 1}}\n", "spec.match.magic: min is above max"},
	{MATCH, "  match: {magic: {not: {min: 2}}}\n",
		"15: error: spec.match.magic.not: must be a value or a list of values, is a map "
		"(write a number or a text, or several as a list)"},
	{MATCH, "  match: {magic: [" SIXTEEN ", 17]}\n",
		"15: error: spec.match.magic: too many values (write 16 at most)"},
	{MATCH, "  match: {magic: {is: [" SIXTEEN "], not: [" SIXTEEN "]}}\n",
		"15: error: spec.match.magic.not[0]: too many values (write 16 at most)"},
	{MATCH, "  match: {magic: {max: -1}}\n",
		"15: error: spec.match.magic: magic has no negative numbers (write \"signed: "
		"true\" "
		"at the place)"},
	{PLACES, WIDE("size: 2, signed: true") "  check: {magic: {min: 4, max: -4}}\n",
		"spec.check.magic: min is above max"},
	{PLACES, WIDE("size: 8, signed: true") "  check: {magic: {max: 0xffffffffffffffff}}\n",
		"spec.check.magic: magic has a sign, so its numbers are lower (write "
		"9223372036854775807 at most)"},
	{MESSAGES,
		"  messages:\n  - {is: request, from: client, when: {kind: {min: 1}}}\n"
		"  - {is: oneway, from: client, when: {kind: 2}}\n  - {is: reply, from: server}\n",
		"19: error: spec.messages: never used: the rule of line 18"},
	{MATCH, "  match: {magic: \"\"}\n", "\"\" is compared with a number"},
	{MATCH, "  match: {name: {min: 2}}\n", "spec.match.name: a text is in no range"},
	{MATCH, "  match: {tail: 1}\n",
		"15: error: spec.match.tail: tail is found from the end of the message"},
	/* the end */
	{FRAME, "", "5: error: spec.frame: the end of a message is not given (add frame)"},
	{FRAME, "  frame: {length: length}\n",
		"16: error: spec.frame: the frame is missing its max (add it: the longest message "
		"in bytes)"},
	{FRAME, "  frame: {max: 10}\n", "spec.frame: the end of the message is not given"},
	{FRAME, "  frame: {size: 3, length: length, max: 10}\n",
		"the end of the message is given twice"},
	{FRAME, "  frame: {length: tail, max: 10}\n",
		"16: error: spec.frame.length: tail is found from the end of the message, which it "
		"would determine"},
	{FRAME, "  frame: {length: user, max: 10}\n", "user is found from the end"},
	{FRAME, "  frame: {length: length, add: 4294967296, max: 1000}\n",
		"spec.frame.add: 4294967296 is out of range (write at most 8388608 (8 MiB))"},
	{FRAME, "  frame: {length: name, max: 10}\n",
		"spec.frame.length: name is a text (add \"type: number\""},
	{FRAME, "  frame: [{length: length, max: 10}, {size: 3, max: 10}]\n",
		"16: error: spec.frame: never used: an earlier one always is"},
	/* kinds */
	{MESSAGES, "  messages: [{is: request}, {is: reply, from: server}]\n",
		"spec.messages: never used: the rule of line 17 applies to all of its messages "
		"(put the more special rule first)"},
	{MESSAGES,
		"  messages:\n  - {is: request, when: {kind: {max: 9}}}\n  - {is: oneway, when: "
		"{kind: 4, name: x}}\n  - {is: reply}\n",
		"19: error: spec.messages: never used: the rule of line 18"},
	{MESSAGES,
		"  messages:\n  - {is: request, when: {name: {present: true}}}\n"
		"  - {is: oneway, when: {name: [a, b]}}\n  - {is: reply}\n",
		"19: error: spec.messages: never used: the rule of line 18"},
	{MESSAGES,
		"  messages:\n  - {is: request, when: {name: {present: false}}}\n"
		"  - {is: oneway, when: {name: {present: false}, kind: 1}}\n  - {is: reply}\n",
		"19: error: spec.messages: never used: the rule of line 18"},
	{MESSAGES,
		"  messages:\n  - {is: request, when: {name: {not: x}}}\n"
		"  - {is: oneway, when: {name: {present: false}}}\n  - {is: reply}\n",
		"19: error: spec.messages: never used: the rule of line 18"},
	{MESSAGES,
		"  messages:\n  - {is: request, when: {name: {same: kind}}}\n"
		"  - {is: oneway, when: {name: {present: false}}}\n  - {is: reply}\n",
		"19: error: spec.messages: never used: the rule of line 18"},
	{MESSAGES,
		"  messages:\n  - {is: request, when: {kind: {not: [1, 2]}}}\n"
		"  - {is: oneway, when: {kind: {not: [2, 3, 1]}}}\n  - {is: reply}\n",
		"19: error: spec.messages: never used: the rule of line 18"},
	{MESSAGES,
		"  messages:\n  - {is: request, when: {kind: 16}}\n"
		"  - {is: oneway, when: {kind: 0x10, name: x}}\n  - {is: reply}\n",
		"19: error: spec.messages: never used: the rule of line 18"},
	{MESSAGES, "  messages: [{is: reply, from: server}]\n",
		"spec.messages: no message of a client is a request"},
	{MESSAGES, "  messages: [{is: request, from: client}]\n",
		"spec.messages: no message of a server is a reply"},
	{MESSAGES, "  messages: [{is: request, event: drain}]\n",
		"only events have an effect on the connection"},
	{MESSAGES, "  messages: [{is: stream}]\n", "17: error: spec.messages[0].is: "},
	{MESSAGES, "  messages: [{is: request, from: client, refuse: maybe}]\n",
		"17: error: spec.messages[0].refuse: "},
	{MESSAGES, "  messages: [{is: reply, from: client, refuse: denied}]\n",
		"only requests and one-way requests are refused"},
	{MESSAGES, "  messages: [{is: request, refuse: denied}]\n",
		"only calls of clients are refused (add \"from: client\")"},
	/* ids */
	{ID, "", "spec.id: a request has no id, so it cannot be found among others"},
	{ID, "  id: {place: id, for: request}\n",
		"spec.id: a reply has no id, so it cannot be found among others (add its "
		"place"},
	{ID, "  id: name\n", "20: error: spec.id: ids that are texts cannot be shared by clients"},
	{ID, "  id: kind\n",
		"20: error: spec.id: the id has too few values to be shared by clients"},
	{ID, "  id: {place: id, copies: name}\n",
		"spec.id.copies: name is a text (add \"type: number\" or \"type: decimal\" to the "
		"place)"},
	{ID, "  id: {place: id, copies: [kind, nothing]}\n",
		"spec.id.copies[1]: there is no place \"nothing\""},
	{ID, "  id: {place: id, always: true}\n",
		"20: error: spec.id: always is for copies of the id (add copies, or remove "
		"always)"},
	{ID, "  id: {place: id, copies: kind, always: maybe}\n", "20: error: spec.id.always: "},
	{ID, "  id: {place: id, for: requests}\n", "spec.id.for: "},
	/* the rest */
	{REST, "  metadata: {a: {place: name, value: b}}\n",
		"spec.metadata.a: it needs one of both"},
	{REST, "  metadata: {a: {place: name, names: {1: b}}}\n", "name is a text"},
	{REST, "  metadata:\n    a: name\n    A: user\n",
		"23: error: spec.metadata: \"A\" and \"a\" differ only in case (write both in the "
		"same "
		"case)"},
	{REST, "  metadata: {a: {place: name, split: ab}}\n", "\"ab\" is not a character"},
	{REST, "  metadata: {a: []}\n",
		"21: error: spec.metadata.a: a value has no place, or too many (write 1 to 8 "
		"places)"},
	{REST, "  metadata: {a: [name, {place: kind}]}\n",
		"21: error: spec.metadata.a[1]: a list of places has nothing else (write the names "
		"of places)"},
	{REST, "  metadata: {a: [name, nam]}\n",
		"21: error: spec.metadata.a[1]: there is no place \"nam\" (did you mean name?)"},
	{REST, "  search: body\n",
		"21: error: spec.search: body has no keys and values (name a place that holds "
		"pairs"},
	{REST, "  status: {place: kind, ok: 1}\n",
		"spec.status: the status is missing its other (add it: the class of all other "
		"numbers)"},
	{REST, "  status: {place: kind, ok: x, other: server}\n",
		"spec.status.ok: \"x\" is not a number"},
	{REST, "  checksums: {place: id, algorithm: md5}\n", "spec.checksums.algorithm: "},
	{REST, "  checksums: {place: tail, algorithm: crc16, polynomial: 0x11021}\n",
		"polynomial, initial and final have at most the checksum's bits"},
	{REST, "  checksums: {place: tail, algorithm: crc16, from: 4294967296}\n",
		"spec.checksums.from: 4294967296 is out of range"},
	{REST, "  deadline: {place: name}\n", "spec.deadline.place: name is a text"},
	{REST, "  connections: {halfClose: never}\n", "21: error: spec.connections.halfClose: "},
	{REST, "  executes: yes\n", "21: error: spec.executes: "},
	{REST, "  executes: {key: [a]}\n",
		"21: error: spec.executes.key: unknown field (did you mean keys?)"},
	{REST, "  check: {name: {same: nam}}\n",
		"21: error: spec.check.name.same: there is no place \"nam\" (did you mean name?)"},
	{REST, "  check: {name: {same: user, present: true}}\n",
		"21: error: spec.check.name: a condition compares in one way"},
	{FRAME, "  frame: [{when: {kind: {same: tail}}, length: length, max: 1000}]\n",
		"tail is found from the end of the message, which it would determine"},
	/* status and checksums */
	{REST, "  status: {place: kind, ok: 0, other: server, when: {kind: 1}}\n",
		"21: error: spec.status.when: a status has no conditions (write a list of status: "
		"the first entry that is not ok decides; "},
	{REST, "  status: {place: kind, ok: {min: 1}, other: server}\n",
		"21: error: spec.status.ok: must be a number or a list of numbers, is a map (write "
		"the numbers, and the class of all further ones as other)"},
	{REST, "  checksums: {place: length, algorithm: crc32}\n",
		"21: error: spec.checksums: checksum length is computed of its own bytes, too "
		"(write from and to, around the place)"},
	{REST, "  checksums: {place: tail, algorithm: sum8, to: 0}\n",
		"checksum tail is computed of its own bytes, too"},
	{REST, "  checksums: {place: length, algorithm: crc32, to: 3}\n",
		"checksum length is computed of its own bytes, too"},
	/* templates */
	{REST, "  goaway: [{hex: 00}]\n",
		"21: error: spec.goaway: bytes are missing at its end (compare it with frame and "
		"messages)"},
	{REST,
		REPLY("{hex: 1234}, {length: all, size: 4, add: 1}, {hex: 0200}, {value: id, size: "
		      "4}"),
		"21: error: spec.localReplies: no_route: bytes are missing at its end"},
	{REST, REPLY(GOOD_HEAD ", {hex: 00000000}"), "its id is not that of the call"},
	{REST, REPLY("{hex: 1234}, {length: all, size: 4}, {hex: 0100}, {value: id, size: 4}"),
		"no kind of message matches"},
	{REST, REPLY(GOOD_HEAD ", {hex: 0000}, {value: id, size: 2}"),
		"no_route: it cannot be written: a number does not fit"},
	{REST, REPLY(GOOD_HEAD ", {value: id, size: 4}, {place: name}"),
		"no_route: it copies places, but there is no sample to copy from (add a request to "
		"samples)"},
	{REST,
		REPLY(GOOD_HEAD ", {value: id, size: 4}, {place: name, max: 60}, "
				"{place: name, max: 50}"),
		"templates need more than 88 bytes of a request"},
	{REST, REPLY(GOOD_HEAD ", {value: id, size: 4}, {place: name, max: 88}"),
		"a text is longer than the 88 bytes that are kept of a request (write a max of 87 "
		"at most"},
	{REST, REPLY(GOOD_HEAD ", {value: id}"), "a number without its width (add a size"},
	{REST, REPLY("{hex: 123}"), "spec.localReplies: not bytes (write pairs of hexadecimal"},
	{REST, REPLY("{hex: 12, text: a}"), "spec.localReplies.write[0]: a part is one thing"},
	{REST, REPLY("{place: nme}"),
		"spec.localReplies.write[0].place: there is no place \"nme\" (did you mean name?)"},
	{REST, REPLY("{length: head, size: 2}"),
		"a length of a part that is not there (write all, rest, or the name of a part)"},
	{REST, REPLY("{value: code, size: 2}"),
		"spec.localReplies.codes: a reason has no code (add default)"},
	{REST, REPLY("{protobuf: {0: id}}"),
		"spec.localReplies.write[0].protobuf.0: no such field"},
	{REST, REPLY("{jce: {1: {parts: []}}}"), "not a field's value"},
	{REST, REPLY("{jce: {1: {value: id, size: 3}}}"), "an integer of jce has no such size"},
	{REST,
		REPLY("{parts: [{parts: [{parts: [{parts: [{parts: [{parts: [{parts: [{hex: 00}]}"
		      "]}]}]}]}]}]}"),
		"parts are nested too deeply"},
	{REST,
		"  localReplies: [{write: [" GOOD_HEAD
		", {value: id, size: 4}, {hex: 0000}]}, {for: "
		"timeout, write: [{hex: 00}]}]\n",
		"never used: earlier replies are for all of its reasons"},
	{REST, "  localReplies: {for: late, write: [{hex: 00}]}\n", "spec.localReplies.for: "},
	{REST, "  heartbeat: {answer: [{hex: 00}]}\n",
		"21: error: spec.heartbeat: no message is a heartbeat (add a rule with is: "
		"heartbeat to messages)"},
	{REST, "  heartbeat: {send: [{hex: 00}]}\n", "heartbeats get no answer (add answer)"},
	{REST, "  heartbeat: {send: [{hex: 00}], answer: [{hex: 00}]}\n",
		"no message of a server answers it"},
	{MESSAGES, BEATS("00002000"),
		"spec.heartbeat.send: its id is not that of the call (write the id where replies "
		"have it)"},
	{REST, "  connections: {idle: 15s}\n",
		"21: error: spec.connections.idle: there is no heartbeat to send"},
	/* samples */
	{REST, SAMPLE("client", "reply", "5", "abc", abc),
		"22: error: spec.samples: the sample is of kind request, not reply (correct the "
		"sample, or what describes it)"},
	{REST, SAMPLE("client", "request", "6", "abc", abc), "the id of the sample is 5, not 6"},
	{REST, SAMPLE("client", "request", "5", "ab", abc),
		"\"name\" of the sample is \"abc\", not \"ab\""},
	{REST, SAMPLE("client", "request", "5", "abc, more: x", abc),
		"the sample has no metadata \"more\""},
	{REST, SAMPLE("client", "request", "5", "abc", ab),
		"22: error: spec.samples: the sample is not a message: bytes are missing at its "
		"end"},
	{REST, SAMPLE("client", "request", "5", "abc", abcd),
		"the sample is not a message: bytes follow its end"},
	{REST, SAMPLE("server", "reply", "5", "abc", abc),
		"the sample is not a message: no kind of message matches: kind is 1 (correct"},
	{REST, "  check: {kind: 7}\n" SAMPLE("client", "request", "5", "abc", abc),
		"the sample is refused (bad_request): it contradicts check: kind is 1"},
	{REST, SAMPLE("client", "request, refuse: denied", "5", "abc", abc),
		"22: error: spec.samples: the sample is not refused, not refused with denied"},
	{REST, "  metadata: {name: name}\n  samples: {from: client, is: request, hex: abc}\n",
		"22: error: spec.samples: not the bytes of a message (write pairs of hexadecimal "
		"digits, or text, for 1 to 16384 bytes)"},
	{REST, "  metadata: {name: name}\n  samples: {from: client, is: request}\n",
		"22: error: spec.samples: its bytes are not given (write one of hex and text)"},
	{REST,
		"  metadata: {name: name}\n  samples: {from: client, is: request, hex: 00, text: "
		"x}\n",
		"its bytes are given twice"},
	{REST, "  metadata: {name: name}\n  samples: {from: client, is: request, text: \"ab\"}\n",
		"22: error: spec.samples: the sample is not a message: "},
};

static const struct mt_codec_table *compile(
	struct mt_region *region, struct mt_diags *diags, const char *text)
{
	mt_region_init(region, 0);
	mt_diags_init(diags);
	return mt_codecfile_text(region, diags, "test.yaml", text, strlen(text));
}

static void expect_error(const char *text, const char *expect)
{
	const struct mt_codec_table *t;
	struct mt_region region;
	struct mt_diags diags;
	bool found = false;
	char line[1024];

	t = compile(&region, &diags, text);
	CU_ASSERT_PTR_NULL(t);
	CU_ASSERT(diags.errors > 0);
	for (uint32_t i = 0; i < diags.n; i++) {
		mt_diag_format(&diags.items[i], line, sizeof(line));
		found |= strstr(line, expect) != NULL;
	}
	CU_ASSERT(found);
	if (!found) {
		fprintf(stderr, "not \"%s\" but:\n", expect);
		mt_diags_print(&diags, stderr);
	}
	mt_diags_fini(&diags);
	mt_region_fini(&region);
}

static void document(char *to, size_t size, enum part part, const char *text)
{
	size_t n = (size_t)snprintf(to, size, "%s", HEAD);

	for (uint32_t i = 0; i < PARTS; i++)
		n += (size_t)snprintf(to + n, size - n, "%s", i == part ? text : sound[i]);
}

static void parts(void)
{
	struct mt_region region;
	struct mt_diags diags;
	char text[4096];

	document(text, sizeof(text), PARTS, "");
	CU_ASSERT_PTR_NOT_NULL(compile(&region, &diags, text));
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	mt_region_fini(&region);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		document(text, sizeof(text), rows[i].part, rows[i].text);
		expect_error(text, rows[i].expect);
	}
}

/* Rules that an earlier one with a condition on the same place leaves messages for. */
static void later_rules(void)
{
	static const struct {
		const char *first, *then;
	} docs[] = {
		{"user: {present: true}", "user: {not: ann}"},
		{"user: {present: true}", "user: {present: false}"},
		{"user: {present: true}", "user: {same: name}"},
		{"age: {present: true}", "age: 7"},
		{"age: {present: true}", "age: {max: 9}"},
		{"age: {not: 7}", "age: {present: false}"},
		{"user: {present: false}", "user: {not: ann}"},
		{"kind: {not: [1, 2]}", "kind: {not: 1}"},
		{"kind: {not: 1}", "kind: 1"},
		{"kind: 1", "kind: {not: 1}"},
		{"user: {same: name}", "user: ann"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(docs); i++) {
		struct mt_region region;
		struct mt_diags diags;
		char text[2048];

		snprintf(text, sizeof(text),
			HEAD "  calls: serial\n  places:\n    length: {at: 0, size: 2}\n"
			     "    kind: {at: 2, size: 1}\n    name: {at: 3, count: 1}\n"
			     "    body: {after: name, to: 0, holds: protobuf}\n"
			     "    user: {in: body, find: 1}\n"
			     "    age: {in: body, find: 2, type: number, default: 7}\n"
			     "  frame: {length: length, max: 1000}\n  messages:\n"
			     "  - {is: request, from: client, when: {%s}}\n"
			     "  - {is: oneway, from: client, when: {%s}}\n"
			     "  - {is: reply, from: server}\n",
			docs[i].first, docs[i].then);
		CU_ASSERT_PTR_NOT_NULL(compile(&region, &diags, text));
		mt_diags_print(&diags, stderr);
		mt_diags_fini(&diags);
		mt_region_fini(&region);
	}
}

/* Each place needs the one before twice. Without a memory of places this does not end. */
static void chain_of_references(void)
{
	struct mt_region region;
	struct mt_diags diags;
	char places[4096];
	size_t n = (size_t)snprintf(places, sizeof(places),
		"%s    p0: {at: 16, size: 1, type: decimal}\n", sound[PLACES]);
	char text[8192];

	for (int i = 1; i < 64; i++)
		n += (size_t)snprintf(places + n, sizeof(places) - n,
			"    p%d: {after: p%d, length: p%d, type: decimal}\n", i, i - 1, i - 1);
	document(text, sizeof(text), PLACES, places);
	n = strlen(text);
	snprintf(text + n, sizeof(text) - n, "  status: {place: p63, ok: 0, other: server}\n");
	(void)compile(&region, &diags, text);
	CU_ASSERT(diags.errors > 0);
	mt_diags_fini(&diags);
	mt_region_fini(&region);
}

#define NO_ID                                                                                      \
	"17: error: spec.id: one-way requests have no id, so a server's answer to one would be "   \
	"taken for that to another call (add oneway to its \"for\", or write \"calls: serial\")"

#define NARROW                                                                                     \
	"with one-way calls, ids that clients share need four bytes or nine digits (write "        \
	"\"calls: serial\")"

/* Ids with few values are not shared if calls have them that are never answered. */
static void oneway_ids(void)
{
	static const struct {
		const char *calls, *place, *oneway, *id, *expect;
	} docs[] = {
		{"multiplexed", "size: 4", "client", "id", NULL},
		{"multiplexed", "size: 3", "client", "id", "18: error: spec.id: " NARROW},
		{"multiplexed", "size: 2", "client", "id", NARROW},
		{"multiplexed", "size: 9, type: decimal", "client", "id", NULL},
		{"multiplexed", "size: 8, type: decimal", "client", "id", NARROW},
		{"multiplexed", "size: 2", "client",
			"[{place: id, for: [request, oneway]}, {place: id, for: reply}]", NARROW},
		/* A server that answers a call without an id of Meltemi's answers another one. */
		{"multiplexed", "size: 2", "client", "{place: id, for: [request, reply]}", NO_ID},
		{"multiplexed", "size: 4", "client", "{place: id, for: [request, reply]}", NO_ID},
		{"multiplexed", "size: 4", "client",
			"[{place: id, for: request}, {place: id, for: reply}]", NO_ID},
		{"multiplexed", "size: 4", "client", "{place: id, for: [request, reply, oneway]}",
			NULL},
		/* These are no calls, do not get to a server, or have a connection of their own. */
		{"multiplexed", "size: 2", "server", "id", NULL},
		{"multiplexed", "size: 2", "server", "{place: id, for: [request, reply]}", NULL},
		{"multiplexed", "size: 2", "client, refuse: denied",
			"{place: id, for: [request, reply]}", NULL},
		{"serial", "size: 2", "client", "id", NULL},
		{"serial", "size: 2", "client", "{place: id, for: [request, reply]}", NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(docs); i++) {
		struct mt_region region;
		struct mt_diags diags;
		char text[2048];

		snprintf(text, sizeof(text),
			HEAD "  calls: %s\n  places:\n    magic: {at: 0, size: 2}\n"
			     "    length: {at: 2, size: 4}\n    kind: {at: 6, size: 1}\n"
			     "    id: {at: 8, %s}\n    name: {at: 20, count: 2}\n"
			     "  match: {magic: 0x1234}\n  frame: {length: length, max: 1000}\n"
			     "  messages:\n"
			     "  - {is: request, from: client, when: {kind: 1}}\n"
			     "  - {is: reply, from: server, when: {kind: 2}}\n"
			     "  - {is: oneway, from: %s, when: {kind: 3}}\n"
			     "  id: %s\n  metadata: {name: name}\n",
			docs[i].calls, docs[i].place, docs[i].oneway, docs[i].id);
		if (docs[i].expect) {
			expect_error(text, docs[i].expect);
			continue;
		}
		CU_ASSERT_PTR_NOT_NULL(compile(&region, &diags, text));
		mt_diags_print(&diags, stderr);
		mt_diags_fini(&diags);
		mt_region_fini(&region);
	}
}

/* Places that need themselves by each kind of reference. */
static void cycles(void)
{
	static const struct {
		const char *name, *b;
	} docs[] = {
		{"after: b, size: 1", "after: name, size: 1"},
		{"in: b, at: 0, size: 1", "in: name, at: 0, size: 1"},
		{"at: 12, length: b", "after: name, size: 1"},
		{"after: name, size: 1", "at: 12, size: 1"},
		{"at: 12, length: name, type: number", "at: 12, size: 1"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(docs); i++) {
		char text[4096], places[512];

		snprintf(places, sizeof(places),
			"  places:\n    magic: {at: 0, size: 2}\n    length: {at: 2, size: 4}\n"
			"    kind: {at: 6, size: 1}\n    id: {at: 8, size: 4}\n"
			"    name: {%s}\n    b: {%s}\n",
			docs[i].name, docs[i].b);
		document(text, sizeof(text), PLACES, places);
		expect_error(text, "it needs itself to be found (remove one of the references)");
	}
}

/* A text of constant size in a local reply: no size is cut to another one. */
static void copied_texts(void)
{
	static const struct {
		uint32_t size;
		const char *expect;
	} docs[] = {
		{87, "19: error: spec.localReplies: no_route: it copies places, but there is no "
		     "sample"},
		{88, "19: error: spec.localReplies: a text is longer than the 88 bytes"},
		{255, "19: error: spec.localReplies: a text is longer than the 88 bytes"},
		{256, "11: error: spec.places.name.size: 256 is out of range"},
		{300, "11: error: spec.places.name.size: 300 is out of range"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(docs); i++) {
		char text[4096], places[512];

		snprintf(places, sizeof(places), WIDE("size: 2"));
		snprintf(strstr(places, "{at: 12"), 128, "{at: 12, size: %u, type: text}\n",
			docs[i].size);
		document(text, sizeof(text), PLACES, places);
		snprintf(text + strlen(text), 256, "%s",
			REPLY(GOOD_HEAD ", {value: id, size: 4}, {place: name}"));
		expect_error(text, docs[i].expect);
	}
}

static void heads(void)
{
	static const struct {
		const char *text, *expect;
	} docs[] = {
		{"", "1: error: 0 documents (write one document of kind Codec)"},
		{"apiVersion: v1\nkind: Codec\n", "apiVersion: not a document of Meltemi"},
		{"apiVersion: meltemi.io/v1\nkind: Node\n",
			"kind: not a codec (write kind: Codec)"},
		{"apiVersion: meltemi.io/v1\nkind: Codec\n", "spec: the codec is not described"},
		{"apiVersion: meltemi.io/v1\nkind: Codec\nspec: {}\n",
			"metadata.name: the codec has no name"},
		{"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: My-Codec}\nspec: {}\n",
			"3: error: metadata.name: \"My-Codec\" cannot be a word of a port name"},
		{"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: dubbo}\nspec: {}\n",
			"\"dubbo\" is a protocol that Meltemi knows already"},
		{"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: redis}\nspec: {}\n",
			"choose another name"},
		/* The appProtocol kubernetes.io/ws. */
		{"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: ws}\nspec: {}\n",
			"choose another name"},
		{"a: b\n---\nc: d\n", "error"},
		{"[a]\n", "not a document of Meltemi"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(docs); i++)
		expect_error(docs[i].text, docs[i].expect);
}

/* Walks through five containers of JCE cost more than a message may. */
static void too_dear(void)
{
	char text[8192], places[4096], rest[2048];
	size_t n, k;

	n = (size_t)snprintf(places, sizeof(places),
		"  places:\n    magic: {at: 0, size: 2}\n    length: {at: 2, size: 4}\n"
		"    kind: {at: 6, size: 1}\n    id: {at: 8, size: 4}\n    name: {at: 12, count: "
		"2}\n");
	k = (size_t)snprintf(rest, sizeof(rest), "  metadata:\n    name: name\n");
	for (uint32_t i = 0; i < 5; i++) {
		n += (size_t)snprintf(places + n, sizeof(places) - n,
			"    c%u: {at: %u, to: 0, holds: jce}\n    v%u: {in: c%u, find: 1}\n", i, i,
			i, i);
		k += (size_t)snprintf(rest + k, sizeof(rest) - k, "    m%u: v%u\n", i, i);
	}
	document(text, sizeof(text), PLACES, places);
	n = strlen(text) - strlen(sound[REST]);
	snprintf(text + n, sizeof(text) - n, "%s", rest);
	expect_error(text, "for each byte; 2000 and 128 are allowed");
}

/* What a document declares of servers and connections; by default the cautious. */
static void declares(void)
{
	static const struct {
		const char *text;
		bool server_whole, client_whole, other;
	} docs[] = {
		{"  metadata: {name: name}\n", false, false, true},
		{"  connections: {halfClose: both}\n  executes: unknown\n", false, false, true},
		{"  connections: {halfClose: client}\n  executes: named\n", true, false, false},
		{"  connections: {halfClose: server}\n", false, true, true},
		{"  connections: {halfClose: none}\n", true, true, true},
		{"  metadata: {name: name}\n  executes: {keys: [name]}\n", false, false, true},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(docs); i++) {
		const struct mt_codec_table *t;
		struct mt_region region;
		struct mt_diags diags;
		char text[4096];

		document(text, sizeof(text), REST, docs[i].text);
		t = compile(&region, &diags, text);
		mt_diags_print(&diags, stderr);
		CU_ASSERT_PTR_NOT_NULL_FATAL(t);
		CU_ASSERT_EQUAL(t->codec.whole_close, docs[i].server_whole);
		CU_ASSERT_EQUAL(t->codec.client_whole_close, docs[i].client_whole);
		CU_ASSERT_EQUAL(t->codec.executes_other, docs[i].other);
		/* The first metadata are not the method. */
		CU_ASSERT_EQUAL(t->codec.method_key.id, -1);
		mt_diags_fini(&diags);
		mt_region_fini(&region);
	}
}

/* 64 samples are read; they are no part of the codec. */
static void samples(void)
{
	static char text[16384];
	struct mt_region region;
	struct mt_diags diags;
	const struct mt_codec_table *t;
	uint64_t content;
	size_t n;

	document(text, sizeof(text), PARTS, "");
	t = compile(&region, &diags, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	content = t->codec.content;
	mt_diags_fini(&diags);
	mt_region_fini(&region);
	n = strlen(text) + (size_t)snprintf(text + strlen(text), 64, "  samples:\n");
	for (uint32_t i = 0; i < 64; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n,
			"  - {from: client, is: request, id: %u, metadata: {name: abc}, hex: "
			"\"1234 00000011 01 00 %08x 0003 616263\"}\n",
			i, i);
	t = compile(&region, &diags, text);
	mt_diags_print(&diags, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	CU_ASSERT_EQUAL(t->codec.content, content);
	mt_diags_fini(&diags);
	mt_region_fini(&region);
	snprintf(text + n, sizeof(text) - n, "  - {from: client, is: request, hex: 00}\n");
	expect_error(text, "spec.samples: too many items (write 64 at most)");
}

static const struct mt_codec_table *compiled(
	struct mt_region *region, struct mt_diags *diags, enum part part, const char *with)
{
	char text[4096];

	document(text, sizeof(text), part, with);
	return compile(region, diags, text);
}

/* Equal documents have one identity, wherever they are; any change has another. */
static void identity(void)
{
	struct mt_region r[3];
	struct mt_diags d[3];
	const struct mt_codec_table *t[3];

	t[0] = compiled(&r[0], &d[0], PARTS, "");
	t[1] = compiled(&r[1], &d[1], PARTS, "");
	t[2] = compiled(&r[2], &d[2], FRAME, "  frame: {length: length, max: 1001}\n");
	CU_ASSERT_FATAL(t[0] && t[1] && t[2]);
	CU_ASSERT(mt_codec_same(&t[0]->codec, &t[1]->codec));
	CU_ASSERT(!mt_codec_same(&t[0]->codec, &t[2]->codec));
	CU_ASSERT_STRING_EQUAL(t[0]->codec.aeraki_name, "aeraki.meta_protocol.codec.test");
	CU_ASSERT_EQUAL(t[0]->codec.id_min % 4096, 0);
	CU_ASSERT_EQUAL((t[0]->codec.id_max + 1) % 4096, 0);
	for (uint32_t i = 0; i < 3; i++) {
		mt_diags_fini(&d[i]);
		mt_region_fini(&r[i]);
	}
}

const struct mt_test mistakes_tests[] = {
	{"heads", heads},
	{"parts", parts},
	{"later rules", later_rules},
	{"ids of one-way calls", oneway_ids},
	{"cycles", cycles},
	{"chain_of_references", chain_of_references},
	{"copied texts", copied_texts},
	{"too_dear", too_dear},
	{"declares", declares},
	{"samples", samples},
	{"identity", identity},
	{0},
};
