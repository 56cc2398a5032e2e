// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.brpc;

import com.baidu.brpc.protocol.BrpcMeta;
import com.baidu.brpc.protocol.standard.BaiduRpcProto.RpcRequestMetaExtField;

/** The services of the tests. Calls and replies are messages that the library has: the text is the key, and in replies the server is the value. */
public interface Echo {
	@BrpcMeta(serviceName = "example.EchoService", methodName = "Echo")
	RpcRequestMetaExtField echo(RpcRequestMetaExtField call);

	@BrpcMeta(serviceName = "example.EchoService", methodName = "Again")
	RpcRequestMetaExtField again(RpcRequestMetaExtField call);

	@BrpcMeta(serviceName = "example.OtherService", methodName = "Other")
	RpcRequestMetaExtField other(RpcRequestMetaExtField call);

	@BrpcMeta(serviceName = "example.NoService", methodName = "None")
	RpcRequestMetaExtField none(RpcRequestMetaExtField call);
}
