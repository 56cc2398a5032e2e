/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that drain a node, service, listener or endpoint, undo that, or close connections. */
#include "names.h"
#include "tune.h"

/* Does not stop the daemon: the operator watches what is left and then stops it. */
static json_t *drain(struct mt_ctl *c, const struct mt_request *r)
{
	char who[MT_WHO_LEN];

	if (!c->env.drain)
		return mt_ctl_error("this daemon cannot drain");
	if (!c->env.drain(c->env.arg, true))
		return mt_ctl_error("a signal ends the daemon, which drains already");
	mt_log(MT_LOG_INFO, "boot",
		"draining by `drain` of %s: clients are notified and leave, new ones are served; "
		"`return` ends it",
		mt_who_str(r->who, who));
	return mt_json_object(MT_M("drain",
		"/ready answers 503, and clients leave; `show connections` lists those that are "
		"left, `return` ends the drain"));
}

static json_t *end_drain(struct mt_ctl *c, const struct mt_request *r)
{
	char who[MT_WHO_LEN];

	if (!c->env.drain)
		return mt_ctl_error("this daemon cannot drain");
	if (!c->env.drain(c->env.arg, false))
		return mt_ctl_error("a signal ends the daemon, which cannot be taken back");
	mt_log(MT_LOG_INFO, "boot", "`return` of %s: the node does not drain",
		mt_who_str(r->who, who));
	return mt_json_object(MT_M("return",
		mt_ctl_answers_ready(c) ? "the node does not drain; /ready answers 200"
					: "the node does not drain; /ready answers 503: see `show "
					  "ready`"));
}

#define HOLDS                                                                                      \
	"It is an override (`show overrides`): it applies across reloads until `return` or the "   \
	"end of the daemon; `tune keep` makes it apply across restarts. With version=N it is "     \
	"refused if an override changed after that version."
#define WINDS_UP                                                                                   \
	"Clients leave as when the node drains (`help drain`), and `/ready` stays as it is: "      \
	"connected clients are notified, and new ones are served and drain in the same way. "      \
	"With `refuse`, new connections are refused by RST. Opaque TCP connections go on until "   \
	"they end; `close connection` ends them. "

static void offer_refuse(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	(void)c;
	if (r->n_args == 1)
		mt_offer(o, "refuse", "refuse new clients, too");
}

const struct mt_command mt_commands_drain[] = {
	{.words = "drain",
		.group = MT_GROUP_CHANGE,
		.help = "take the node out of use without losing calls, until `return` or a "
			"restart",
		.more = "`/ready` answers 503. Connected clients get a GOAWAY if the protocol has "
			"one, and are closed when they are quiet for a second; those that go on "
			"calling are closed between two calls, after a third of "
			"`spec.drain.time` (10 s). New clients are still served, because load "
			"balancers may send them, and drain in the same way. Opaque TCP "
			"connections go on until they end. The daemon does not end. `ready off` "
			"only keeps load balancers away: no client is notified.",
		.run = drain},
	{.words = "drain endpoint",
		.group = MT_GROUP_CHANGE,
		.args = "ADDRESS:PORT [CLUSTER] [version=N]",
		.settings = "version",
		.help = "an endpoint gets no new calls, until `return endpoint`",
		.more = "Refused for the only endpoint of a cluster that is not drained, because "
			"it would continue to get the calls. If the endpoint is in several "
			"clusters, it may be the only one in some of them, and a note names "
			"these. " HOLDS,
		.names = {MT_NAMES_ENDPOINT, MT_NAMES_CLUSTER},
		.run = mt_run_drain},
	{.words = "drain service",
		.group = MT_GROUP_CHANGE,
		.args = "SERVICE [refuse] [version=N]",
		.settings = "version",
		.help = "clients leave a service's listeners, until `return service`",
		.more = "Applies to the listeners that serve nothing else, or only services that "
			"are drained, too; refused if there are none. " WINDS_UP HOLDS,
		.names = {MT_NAMES_SERVICE},
		.offer = offer_refuse,
		.run = mt_run_drain},
	{.words = "drain listener",
		.group = MT_GROUP_CHANGE,
		.args = "ADDRESS:PORT [refuse] [version=N]",
		.settings = "version",
		.help = "clients leave a listener, until `return listener`",
		.more = WINDS_UP HOLDS,
		.names = {MT_NAMES_LISTENER},
		.offer = offer_refuse,
		.run = mt_run_drain},
	{.words = "return",
		.group = MT_GROUP_RESCUE,
		.help = "end the node's drain: its clients stay",
		.more = "Clients that were notified still leave. A drain by SIGTERM cannot be "
			"taken back.",
		.run = end_drain},
	{.words = "return endpoint",
		.group = MT_GROUP_RESCUE,
		.args = "ADDRESS:PORT [CLUSTER]",
		.help = "end an endpoint's drain or ejection: it gets calls again",
		.more = "Without CLUSTER in all clusters. An endpoint that still fails is ejected "
			"again.",
		.names = {MT_NAMES_ENDPOINT, MT_NAMES_CLUSTER},
		.run = mt_run_return},
	{.words = "return service",
		.group = MT_GROUP_RESCUE,
		.args = "SERVICE",
		.help = "end a service's drain: clients stay again",
		.names = {MT_NAMES_SERVICE},
		.run = mt_run_return},
	{.words = "return listener",
		.group = MT_GROUP_RESCUE,
		.args = "ADDRESS:PORT",
		.help = "end a listener's drain: clients stay again",
		.names = {MT_NAMES_LISTENER},
		.run = mt_run_return},
	{.words = "close connection",
		.group = MT_GROUP_CHANGE,
		.args = "ID|where... [now]",
		.help = "close a connection of `show connections`, or those that match an "
			"expression",
		.more = "close connection ID [now]\nclose connection where EXPRESSION [now]\n\nA "
			"client gets a GOAWAY if the protocol has one, its calls "
			"are answered, and the connection is closed when it is quiet for a second; "
			"from 20 s on when no reply is outstanding. A server's connection gets no "
			"new calls and is closed after its "
			"last reply. With `now` a client is reset, and calls at a server are "
			"answered by the protocol's error. Opaque TCP connections are reset on "
			"both sides. The expression is that of `show connections` "
			"(`where src=192.0.2.3`), and closes 100 connections at most.",
		.offer = mt_offer_close,
		.run = mt_run_close},
	{0},
};
