// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.brpc;

import com.baidu.brpc.RpcContext;
import com.baidu.brpc.client.BrpcProxy;
import com.baidu.brpc.client.RpcClient;
import com.baidu.brpc.client.RpcClientOptions;
import com.baidu.brpc.client.channel.ChannelType;
import com.baidu.brpc.exceptions.RpcException;
import com.baidu.brpc.interceptor.AbstractInterceptor;
import com.baidu.brpc.interceptor.Interceptor;
import com.baidu.brpc.protocol.Options;
import com.baidu.brpc.protocol.Request;
import com.baidu.brpc.protocol.Response;
import com.baidu.brpc.protocol.standard.BaiduRpcProto.RpcRequestMetaExtField;
import com.google.gson.Gson;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** A client of brpc-java: orders are lines of JSON on standard input, each answered by a line. It has one connection to each target. */
public class Client {
	static class Order {
		String target;
		String method = "echo";
		String text;
		String auth;
		int count = 1;
		int at_once = 1;
		int log = 0;
	}

	static class Report {
		boolean passed = true;
		Map<String, Integer> from = new TreeMap<>();
		Map<String, Integer> errors = new TreeMap<>();
		int crossed;

		synchronized void answer(String text, RpcRequestMetaExtField reply) {
			from.merge(reply.getValue(), 1, Integer::sum);
			crossed += reply.getKey().equals(text) ? 0 : 1;
		}

		synchronized void error(String what) {
			errors.merge(what, 1, Integer::sum);
		}
	}

	private static final Map<String, Echo> CLIENTS = new HashMap<>();
	private static volatile String auth;

	/** Adds authentication data to requests. */
	static class Auth extends AbstractInterceptor {
		@Override
		public boolean handleRequest(Request request) {
			if (auth != null)
				request.setAuth(auth);
			return true;
		}

		@Override
		public void handleResponse(Response response) {
		}
	}

	private static Echo client(String target) {
		return CLIENTS.computeIfAbsent(target, key -> {
			RpcClientOptions options = new RpcClientOptions();
			options.setProtocolType(Options.ProtocolType.PROTOCOL_BAIDU_STD_VALUE);
			options.setChannelType(ChannelType.SINGLE_CONNECTION);
			options.setMaxTryTimes(1);
			options.setReadTimeoutMillis(10000);
			options.setConnectTimeoutMillis(5000);
			options.setIoThreadNum(1);
			options.setWorkThreadNum(2);
			RpcClient client = new RpcClient("list://" + key, options, Collections.<Interceptor>singletonList(new Auth()));
			return BrpcProxy.getProxy(client, Echo.class);
		});
	}

	private static RpcRequestMetaExtField call(Order order, String text) {
		Echo client = client(order.target);
		RpcRequestMetaExtField call = RpcRequestMetaExtField.newBuilder().setKey(text).setValue("").build();
		RpcContext.getContext().setLogId(order.log);
		switch (order.method) {
			case "echo":
				return client.echo(call);
			case "again":
				return client.again(call);
			case "other":
				return client.other(call);
			default:
				return client.none(call);
		}
	}

	private static void one(Order order, Report report, String text) {
		try {
			report.answer(text, call(order, text));
		} catch (RpcException e) {
			while (e.getCause() instanceof RpcException)
				e = (RpcException) e.getCause();
			report.error(e.getCode() + ": " + e.getMessage());
		} catch (RuntimeException e) {
			report.error(e.toString());
		}
	}

	private static Report run(Order order) throws InterruptedException {
		Report report = new Report();
		auth = order.auth;
		ExecutorService pool = Executors.newFixedThreadPool(order.at_once);
		client(order.target);
		for (int n = 0; n < order.count; n++) {
			String text = order.text != null ? order.text : "call " + n + " of " + ProcessHandle.current().pid();
			pool.execute(() -> one(order, report, text));
		}
		pool.shutdown();
		pool.awaitTermination(60, TimeUnit.SECONDS);
		return report;
	}

	public static void main(String[] args) throws Exception {
		Gson gson = new Gson();
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		System.out.println("{\"ready\": true}");
		for (String line; (line = in.readLine()) != null;)
			System.out.println(gson.toJson(run(gson.fromJson(line, Order.class))));
		System.exit(0);
	}
}
