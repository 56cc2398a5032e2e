/* SPDX-License-Identifier: Apache-2.0 */
/* An Apache Thrift client (C++ library); arguments and JSON line of client.py. */
#include "peer.hpp"

#include "Hello.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <mutex>
#include <sstream>
#include <thread>
#include <vector>

#include <signal.h>
#include <unistd.h>

#include <thrift/transport/TSocket.h>

namespace
{

using apache::thrift::TApplicationException;
using apache::thrift::TException;
using apache::thrift::transport::TTransportException;
using Clock = std::chrono::steady_clock;
using Counts = std::map<std::string, long>;

double seconds_since(Clock::time_point then)
{
	return std::chrono::duration<double>(Clock::now() - then).count();
}

struct Connection {
	explicit Connection(const peer::Options &o)
	{
		const std::string &target = o.text("target");
		size_t colon = target.rfind(':');
		auto socket = std::make_shared<apache::thrift::transport::TSocket>(
			target.substr(0, colon), std::stoi(target.substr(colon + 1)));

		/* By default it resets what it has written and closes, which may take back a one-way call. */
		socket->setLinger(false, 0);
		socket->setConnTimeout(o.number("timeout-ms"));
		socket->setRecvTimeout(o.number("timeout-ms"));
		socket->setSendTimeout(o.number("timeout-ms"));
		trans = peer::wrap(o.text("transport"), socket);
		client = std::make_shared<hello::HelloClient>(
			peer::client_protocol(o.text("transport"), o.text("protocol"), trans));
		trans->open();
	}
	~Connection() { trans->close(); }

	std::shared_ptr<apache::thrift::transport::TTransport> trans;
	std::shared_ptr<hello::HelloClient> client;
};

std::string quoted(const std::string &text)
{
	std::string out = "\"";

	for (unsigned char ch : text) {
		char hex[8];

		if (ch == '"' || ch == '\\' || ch < 0x20) {
			snprintf(hex, sizeof(hex), "\\u%04x", ch);
			out += hex;
		} else {
			out += static_cast<char>(ch);
		}
	}
	return out + "\"";
}

template <typename Map>
std::string object(
	const Map &map, std::function<std::string(const typename Map::mapped_type &)> value)
{
	std::string out = "{";

	for (const auto &kv : map)
		out += (out.size() > 1 ? ", " : "") + quoted(kv.first) + ": " + value(kv.second);
	return out + "}";
}

std::string number(const long &n)
{
	return std::to_string(n);
}

/* What kind of failure: the connection goes on only after the first. */
std::string kind(const std::exception &error)
{
	if (auto *app = dynamic_cast<const TApplicationException *>(&error))
		return "application-" + std::to_string(static_cast<int>(app->getType()));
	if (auto *trans = dynamic_cast<const TTransportException *>(&error))
		return trans->getType() == TTransportException::TIMED_OUT ? "timeout" : "closed";
	return "other";
}

class Load
{
public:
	explicit Load(const peer::Options &o) : o(o) {}

	void run()
	{
		std::vector<std::thread> threads;
		auto began = Clock::now();

		std::cout << "{\"calling\": true}" << std::endl;
		for (int i = 0; i < o.number("connections"); i++)
			threads.emplace_back([this, i] { work(i); });
		for (auto &thread : threads)
			thread.join();
		report(seconds_since(began));
	}

private:
	void work(int serial)
	{
		std::string mine = "meltemi" + std::string(o.number("size"), 'x') + "-" +
				   std::to_string(getpid()) + "-" + std::to_string(serial) + "-";
		double limit = std::stod(o.text("seconds"));
		auto began = Clock::now();
		std::unique_ptr<Connection> connection;

		for (int made = 0;
			limit > 0 ? seconds_since(began) < limit : made < o.number("count");
			made++) {
			if (!one(connection, mine + std::to_string(made)))
				connection.reset();
		}
	}

	/* One call, on a new connection if there is none. */
	bool one(std::unique_ptr<Connection> &connection, const std::string &name)
	{
		auto began = Clock::now();

		try {
			if (!connection)
				connection = std::make_unique<Connection>(o);
			std::string answer = call(*connection->client, name);

			answered(answer, name, seconds_since(began));
			return true;
		} catch (const TException &error) {
			failed(error, seconds_since(began));
			return dynamic_cast<const TApplicationException *>(&error) != nullptr;
		}
	}

	std::string call(hello::HelloClient &client, const std::string &name)
	{
		std::string method = o.text("method"), out;

		if (method == "sayHello")
			client.sayHello(out, name);
		else if (method == "sayGoodbye")
			client.sayGoodbye(out, name);
		else if (method == "slow")
			client.slow(out, o.number("slow-ms"));
		else if (method == "echo")
			client.echo(out, name);
		else
			throw std::invalid_argument("no such method: " + method);
		return out;
	}

	void answered(const std::string &answer, const std::string &name, double took)
	{
		size_t at = answer.rfind(" from ");
		bool own = o.text("method") == "slow" ||
			   (" " + answer + " ").find(" " + name + " ") != std::string::npos;
		std::lock_guard<std::mutex> guard(lock);

		crossed += !own;
		latencies.push_back(took);
		servers[at == std::string::npos ? "echo" : answer.substr(at + 6)]++;
	}

	void failed(const TException &error, double took)
	{
		std::lock_guard<std::mutex> guard(lock);

		errors[kind(error)]++;
		if (errors.size() <= 3)
			samples[error.what()]++;
		slowest_error = std::max(slowest_error, took);
	}

	long at(double share) const
	{
		size_t i = static_cast<size_t>(share * static_cast<double>(latencies.size()));

		if (latencies.empty())
			return 0;
		return static_cast<long>(latencies[std::min(i, latencies.size() - 1)] * 1e6);
	}

	void report(double took)
	{
		long n_errors = 0;

		std::sort(latencies.begin(), latencies.end());
		for (const auto &error : errors)
			n_errors += error.second;
		std::cout << "{\"answered\": " << latencies.size() << ", \"failed\": " << n_errors
			  << ", \"by_server\": " << object(servers, number)
			  << ", \"errors\": " << object(errors, number)
			  << ", \"error_samples\": " << object(samples, number)
			  << ", \"crossed\": " << crossed
			  << ", \"slowest_error_us\": " << static_cast<long>(slowest_error * 1e6)
			  << ", \"seconds\": " << took << ", \"latency_us\": {\"p50\": " << at(0.5)
			  << ", \"p99\": " << at(0.99) << ", \"max\": " << at(1) << "}}"
			  << std::endl;
	}

	const peer::Options &o;
	std::mutex lock;
	std::vector<double> latencies;
	Counts servers, errors, samples;
	long crossed = 0; /* answers to another's call */
	double slowest_error = 0;
};

std::string list(const std::vector<std::string> &texts)
{
	std::string out = "[";

	for (const auto &text : texts)
		out += (out.size() > 1 ? ", " : "") + quoted(text);
	return out + "]";
}

/* One-way calls, then ordinary ones, whose own answers must come. */
void notes(const peer::Options &o)
{
	std::vector<std::string> wrong, failed;
	int answered = 0;

	try {
		Connection connection(o);

		for (int i = 0; i < o.number("notes"); i++)
			connection.client->note("note " + std::to_string(i));
		for (int i = 0; i < o.number("calls"); i++) {
			std::string name = "meltemi-" + std::to_string(i), out;

			connection.client->sayHello(out, name);
			if (out.find("hello " + name + " from ") == 0)
				answered++;
			else
				wrong.push_back(out);
		}
	} catch (const TException &error) {
		failed.push_back(kind(error) + ": " + error.what());
	}
	std::cout << "{\"answered\": " << answered << ", \"wrong\": " << list(wrong)
		  << ", \"failed\": " << list(failed) << "}" << std::endl;
}

/* Each shape of call once: "ok" or what was found instead. */
class Checks
{
public:
	explicit Checks(const peer::Options &o) : connection(o), client(*connection.client) {}

	bool run()
	{
		check("call", [this] {
			std::string out;

			client.sayHello(out, "me");
			return out.find("hello me from ") == 0;
		});
		check("strings-to-1MB", [this] { return strings(); });
		check("struct", [this] { return person(); });
		check("exception", [this] { return exception(); });
		check("after-exception", [this] { return same("again"); });
		check("one-way", [this] { return one_way(); });
		std::cout << "{\"checks\": "
			  << object(verdicts, [](const std::string &v) { return quoted(v); })
			  << ", \"passed\": " << (passed ? "true" : "false") << "}" << std::endl;
		return passed;
	}

private:
	void check(const std::string &name, const std::function<bool()> &body)
	{
		std::string verdict = "found another answer";

		try {
			if (body())
				verdict = "ok";
		} catch (const TException &error) {
			verdict = "found " + kind(error) + ": " + error.what();
		}
		passed = passed && verdict == "ok";
		verdicts[name] = verdict;
	}

	bool same(const std::string &text)
	{
		std::string out;

		client.echo(out, text);
		return out == text;
	}

	bool strings()
	{
		return same("") && same("a") && same("\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80") &&
		       same(std::string(1023, 'x')) && same(std::string(65536, 'y')) &&
		       same(std::string(1 << 20, 'z'));
	}

	bool person()
	{
		hello::Person sent, friendly, back;

		friendly.__set_name("Byron");
		friendly.__set_age(10);
		sent.__set_name("Ada");
		sent.__set_age(36);
		sent.__set_tags(std::vector<std::string>(40, "a tag"));
		sent.__set_scores({{"x", 1ll << 40}, {"y", -7}});
		sent.__set_height(1.7);
		sent.__set_happy(true);
		sent.__set_picture(std::string("\0\1\2\xff", 4));
		sent.__set_friends({friendly});
		client.older(back, sent);
		sent.__set_age(37);
		return back == sent;
	}

	bool exception()
	{
		std::string out;

		try {
			client.fail(out, "as asked");
		} catch (const hello::Refused &refused) {
			return refused.reason == "as asked";
		}
		return false;
	}

	bool one_way()
	{
		int before = client.notes();
		auto began = Clock::now();

		for (int i = 0; i < 10; i++)
			client.note("note");
		while (client.notes() < before + 10 && seconds_since(began) < 30)
			std::this_thread::sleep_for(std::chrono::milliseconds(20));
		return client.notes() >= before + 10;
	}

	Connection connection;
	hello::HelloClient &client;
	std::map<std::string, std::string> verdicts;
	bool passed = true;
};

} // namespace

int main(int argc, char **argv)
{
	peer::Options o(argc, argv,
		{{"target", "127.0.0.1:9090"}, {"scenario", "load"}, {"transport", "framed"},
			{"protocol", "binary"}, {"method", "sayHello"}, {"slow-ms", "200"},
			{"connections", "1"}, {"count", "10"}, {"seconds", "0"},
			{"timeout-ms", "5000"}, {"size", "0"}, {"notes", "20"},
			{"calls", "5"}});

	signal(SIGPIPE, SIG_IGN);
	/* The library writes to standard error what it also throws. */
	apache::thrift::GlobalOutput.setOutputFunction([](const char *) {});
	if (o.text("scenario") == "notes") {
		notes(o);
		return 0;
	}
	if (o.text("scenario") != "checks") {
		Load(o).run();
		return 0;
	}
	try {
		return Checks(o).run() ? 0 : 1;
	} catch (const TException &error) {
		std::cout << "{\"checks\": {\"connect\": " << quoted(error.what())
			  << "}, \"passed\": false}" << std::endl;
		return 1;
	}
}
