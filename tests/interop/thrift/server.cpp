/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Apache Thrift server (C++ library); the arguments of server.py. --kind threaded: a thread for
 * each connection; simple: one connection at a time; nonblocking: four threads for the calls of all
 * connections (framed). --most N: with nonblocking, more connections are closed on accept.
 */
#include "peer.hpp"

#include "Hello.h"

#include <atomic>
#include <chrono>
#include <iostream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <signal.h>

#include <thrift/concurrency/ThreadFactory.h>
#include <thrift/concurrency/ThreadManager.h>
#include <thrift/server/TNonblockingServer.h>
#include <thrift/server/TSimpleServer.h>
#include <thrift/server/TThreadedServer.h>
#include <thrift/transport/TNonblockingServerSocket.h>
#include <thrift/transport/TServerSocket.h>

namespace
{

class Handler : public hello::HelloIf
{
public:
	Handler(std::string named, std::string id, int delay, bool faults)
	    : named(std::move(named)), id(std::move(id)), delay(delay), faults(faults)
	{
	}

	void sayHello(std::string &out, const std::string &name) override
	{
		obey(name);
		rest(delay);
		out = "hello " + name + " from " + named;
	}
	void sayGoodbye(std::string &out, const std::string &name) override
	{
		obey(name);
		out = "goodbye " + name + " from " + named;
	}
	void echo(std::string &out, const std::string &text) override { out = text; }
	void older(hello::Person &out, const hello::Person &person) override
	{
		out = person;
		out.__set_age(person.age + 1);
	}
	void fail(std::string &, const std::string &reason) override
	{
		hello::Refused refused;

		refused.__set_reason(reason);
		throw refused;
	}
	void note(const std::string &) override { ++taken; }
	int32_t notes() override { return taken; }
	void slow(std::string &out, const int32_t millis) override
	{
		rest(millis);
		out = "slow " + std::to_string(millis) + " from " + named;
	}

private:
	static void rest(int millis)
	{
		if (millis > 0)
			std::this_thread::sleep_for(std::chrono::milliseconds(millis));
	}

	/* FAULT.SERVERS.NUMBER */
	void obey(const std::string &name)
	{
		size_t dot = name.find('.');

		if (!faults)
			return;
		{
			std::lock_guard<std::mutex> guard(lock);

			std::cout << "{\"executed\": \"" + name + "\"}" << std::endl;
		}
		if (name.find(id, dot) == std::string::npos)
			return;
		if (name.compare(0, dot, "hang") == 0 || name.compare(0, dot, "reset") == 0)
			rest(8000);
		else if (name.compare(0, dot, "error") == 0)
			throw std::runtime_error("as asked");
	}

	const std::string named, id;
	const int delay;
	const bool faults;
	std::mutex lock;
	std::atomic<int> taken{0};
};

class Announce : public apache::thrift::server::TServerEventHandler
{
	void preServe() override { std::cout << "{\"ready\": true}" << std::endl; }
};

std::shared_ptr<apache::thrift::server::TServer> nonblocking(
	const peer::Options &o, const std::shared_ptr<hello::HelloProcessor> &processor)
{
	using namespace apache::thrift;

	auto workers = concurrency::ThreadManager::newSimpleThreadManager(4);

	workers->threadFactory(std::make_shared<concurrency::ThreadFactory>());
	workers->start();
	auto server = std::make_shared<server::TNonblockingServer>(processor,
		peer::server_protocol(o.text("transport"), o.text("protocol")),
		std::make_shared<transport::TNonblockingServerSocket>("0.0.0.0", o.number("port")),
		workers);
	if (o.number("most") > 0) {
		/* It is overloaded above this number. */
		server->setMaxConnections(static_cast<size_t>(o.number("most")) - 1);
		server->setOverloadAction(server::T_OVERLOAD_CLOSE_ON_ACCEPT);
	}
	return server;
}

std::shared_ptr<apache::thrift::server::TServer> make(const peer::Options &o)
{
	using namespace apache::thrift;

	auto handler = std::make_shared<Handler>(o.text("tag") + "/" + o.text("id"), o.text("id"),
		o.number("delay"), o.number("faults") != 0);
	auto processor = std::make_shared<hello::HelloProcessor>(handler);

	if (o.text("kind") == "nonblocking")
		return nonblocking(o, processor);

	auto socket = std::make_shared<transport::TServerSocket>("0.0.0.0", o.number("port"));
	auto trans = peer::transport_factory(o.text("transport"));
	auto proto = peer::server_protocol(o.text("transport"), o.text("protocol"));

	if (o.text("kind") == "simple")
		return std::make_shared<server::TSimpleServer>(processor, socket, trans, proto);
	return std::make_shared<server::TThreadedServer>(processor, socket, trans, proto);
}

} // namespace

int main(int argc, char **argv)
{
	peer::Options o(argc, argv,
		{{"port", "9090"}, {"tag", "v1"}, {"id", "s1"}, {"transport", "framed"},
			{"protocol", "binary"}, {"kind", "threaded"}, {"delay", "0"},
			{"faults", "0"}, {"most", "0"}});
	auto server = make(o);

	signal(SIGPIPE, SIG_IGN);
	/* THeader answers in what the request was in: one protocol object for both ways. */
	if (o.text("transport") == "header")
		server->setOutputProtocolFactory(nullptr);
	server->setServerEventHandler(std::make_shared<Announce>());
	server->serve();
	return 0;
}
