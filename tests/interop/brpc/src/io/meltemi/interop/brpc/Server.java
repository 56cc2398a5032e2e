// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.brpc;

import com.baidu.brpc.protocol.BrpcMeta;
import com.baidu.brpc.protocol.Options;
import com.baidu.brpc.protocol.standard.BaiduRpcProto.RpcRequestMetaExtField;
import com.baidu.brpc.server.RpcServer;
import com.baidu.brpc.server.RpcServerOptions;

/** A server of brpc-java: Server PORT ID. Calls have the text FAULT.SERVERS.NUMBER if they fail, and are printed then. */
public class Server {
	private static String id;

	private static RpcRequestMetaExtField answer(RpcRequestMetaExtField call) {
		String[] words = call.getKey().split("\\.");
		if (words.length == 3) {
			synchronized (Server.class) {
				System.out.println("{\"executed\": \"" + call.getKey() + "\"}");
			}
			if (words[1].contains(id)) {
				if (words[0].equals("error"))
					throw new IllegalStateException("as asked");
				try {
					Thread.sleep(words[0].equals("hang") ? 8000 : 50);
				} catch (InterruptedException e) {
					throw new IllegalStateException(e);
				}
			}
		}
		return RpcRequestMetaExtField.newBuilder().setKey(call.getKey()).setValue(id).build();
	}

	/** The methods of one service name each, because the library takes the name of a service from its first method. */
	public interface Service {
		@BrpcMeta(serviceName = "example.EchoService", methodName = "Echo")
		RpcRequestMetaExtField echo(RpcRequestMetaExtField call);

		@BrpcMeta(serviceName = "example.EchoService", methodName = "Again")
		RpcRequestMetaExtField again(RpcRequestMetaExtField call);
	}

	/** The other service. */
	public interface OtherService {
		@BrpcMeta(serviceName = "example.OtherService", methodName = "Other")
		RpcRequestMetaExtField other(RpcRequestMetaExtField call);
	}

	/** Its server. */
	public static class Impl implements Service {
		@Override
		public RpcRequestMetaExtField echo(RpcRequestMetaExtField call) {
			return answer(call);
		}

		@Override
		public RpcRequestMetaExtField again(RpcRequestMetaExtField call) {
			return answer(call);
		}
	}

	/** The other's server. */
	public static class OtherImpl implements OtherService {
		@Override
		public RpcRequestMetaExtField other(RpcRequestMetaExtField call) {
			return answer(call);
		}
	}

	public static void main(String[] args) throws Exception {
		RpcServerOptions options = new RpcServerOptions();
		id = args[1];
		options.setProtocolType(Options.ProtocolType.PROTOCOL_BAIDU_STD_VALUE);
		options.setIoThreadNum(1);
		options.setWorkThreadNum(32);
		RpcServer server = new RpcServer(Integer.parseInt(args[0]), options);
		server.registerService(new Impl());
		server.registerService(new OtherImpl());
		server.start();
		System.out.println("{\"ready\": true}");
		synchronized (Server.class) {
			Server.class.wait();
		}
	}
}
