/* SPDX-License-Identifier: Apache-2.0 */
/* What the C++ client and server share: words of the command line, transports and protocols by
 * name. */
#pragma once

#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/protocol/TCompactProtocol.h>
#include <thrift/protocol/THeaderProtocol.h>
#include <thrift/transport/TBufferTransports.h>

namespace peer
{

using namespace apache::thrift;

/* --name value, in pairs; every name must have a default. */
class Options
{
public:
	Options(int argc, char **argv, std::map<std::string, std::string> defaults)
	    : values(std::move(defaults))
	{
		for (int i = 1; i < argc; i += 2) {
			std::string name = argv[i];

			if (i + 1 == argc || name.substr(0, 2) != "--" ||
				!values.count(name.substr(2)))
				throw std::invalid_argument("not understood: " + name);
			values[name.substr(2)] = argv[i + 1];
		}
	}
	const std::string &text(const std::string &name) const { return values.at(name); }
	int number(const std::string &name) const { return std::stoi(values.at(name)); }

private:
	std::map<std::string, std::string> values;
};

inline std::shared_ptr<transport::TTransportFactory> transport_factory(const std::string &name)
{
	if (name == "framed")
		return std::make_shared<transport::TFramedTransportFactory>();
	if (name == "unframed")
		return std::make_shared<transport::TBufferedTransportFactory>();
	if (name == "header")
		return std::make_shared<transport::TTransportFactory>();
	throw std::invalid_argument("no such transport: " + name);
}

inline std::shared_ptr<transport::TTransport> wrap(
	const std::string &name, std::shared_ptr<transport::TTransport> socket)
{
	return transport_factory(name)->getTransport(std::move(socket));
}

/* A client writes THeader with the given protocol inside; a server answers in the client's. */
inline std::shared_ptr<protocol::TProtocol> client_protocol(const std::string &transport,
	const std::string &name, const std::shared_ptr<transport::TTransport> &trans)
{
	if (transport == "header")
		return std::make_shared<protocol::THeaderProtocol>(
			trans, name == "compact" ? protocol::T_COMPACT_PROTOCOL
						 : protocol::T_BINARY_PROTOCOL);
	if (name == "compact")
		return std::make_shared<protocol::TCompactProtocol>(trans);
	return std::make_shared<protocol::TBinaryProtocol>(trans, 0, 0, false, name == "binary");
}

inline std::shared_ptr<protocol::TProtocolFactory> server_protocol(
	const std::string &transport, const std::string &name)
{
	if (transport == "header")
		return std::make_shared<protocol::THeaderProtocolFactory>();
	if (name == "compact")
		return std::make_shared<protocol::TCompactProtocolFactory>();
	return std::make_shared<protocol::TBinaryProtocolFactory>(0, 0, false, name == "binary");
}

} // namespace peer
