// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.bolt;

import com.alipay.remoting.InvokeContext;
import com.alipay.remoting.rpc.RpcClient;
import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ConsumerConfig;
import com.alipay.sofa.rpc.context.RpcInvokeContext;
import com.alipay.sofa.rpc.core.exception.SofaRpcException;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads orders, one a line, and prints an answer to each: the text that the service returned, or the exception that the library threw.
 *
 * <pre>
 * VERSION[:UNIQUE] ADDRESS:PORT METHOD TEXT [MS] [KEY=VALUE ...]   a call by SOFARPC, of a service's version, with these entries of the
 *                                                                  header; METHOD note: without a reply
 * many ADDRESS:PORT COUNT MS                                       COUNT calls of "slow" at once; the answer is how many had their own text
 * bare ADDRESS:PORT CRC TEXT                                       a call by the bare library in SOFABolt 2; CRC true or false
 * note ADDRESS:PORT CRC TEXT                                       the same without a reply
 * </pre>
 */
public final class Client {
    private static final int TIMEOUT_MS = 8000;
    private static final Map<String, Hello> SERVICES = new HashMap<>();
    private static final RpcClient BARE = new RpcClient();

    private Client() {
    }

    public static void main(String[] args) throws Exception {
        BARE.startup();
        System.out.println("{\"ready\": true}");
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String order = orders.readLine(); order != null; order = orders.readLine()) {
            String answer;
            try {
                answer = "answer\": " + quoted(obey(order.split(" ")));
            } catch (SofaRpcException e) {
                answer = "error\": " + quoted(e.getClass().getSimpleName() + " " + e.getErrorType() + " " + e.getMessage() + causes(e));
            } catch (Throwable e) {
                answer = "error\": " + quoted(e.getClass().getSimpleName() + " " + e.getMessage());
            }
            System.out.println("{\"" + answer + "}");
        }
        System.exit(0);
    }

    private static String obey(String[] words) throws Exception {
        switch (words[0]) {
            case "bare":
            case "note":
                return bare(words[0], words[1], Boolean.parseBoolean(words[2]), words[3]);
            case "many":
                return many(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]));
            default:
                return call(words);
        }
    }

    private static String call(String[] words) {
        Hello hello = service(words[0], words[1], words[2].equals("note"));
        for (int i = 4; i < words.length; i++) {
            String[] pair = words[i].split("=");
            if (pair.length == 2) {
                RpcInvokeContext.getContext().addCustomHeader(pair[0], pair[1]);
            }
        }
        switch (words[2]) {
            case "hello":
                return hello.hello(words[3]);
            case "slow":
                return hello.slow(words[3], Integer.parseInt(words[4]));
            case "fail":
                return hello.fail(words[3]);
            default:
                hello.note(words[3]);
                return "sent";
        }
    }

    private static String many(String address, int count, int ms) throws Exception {
        Hello hello = service("1.0", address, false);
        ExecutorService pool = Executors.newFixedThreadPool(count);
        List<Future<Boolean>> calls = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            String text = ProcessHandle.current().pid() + "." + i;
            calls.add(pool.submit(() -> hello.slow(text, ms).endsWith(" " + text)));
        }
        int own = 0;
        for (Future<Boolean> call : calls) {
            own += call.get() ? 1 : 0;
        }
        pool.shutdown();
        return String.valueOf(own);
    }

    private static String bare(String way, String address, boolean crc, String text) throws Exception {
        InvokeContext context = new InvokeContext();
        context.put(InvokeContext.BOLT_CRC_SWITCH, crc);
        String url = address + "?_PROTOCOL=2&_VERSION=2";
        if (way.equals("note")) {
            BARE.oneway(url, "note " + text, context);
            return "sent";
        }
        return (String) BARE.invokeSync(url, text, context, TIMEOUT_MS);
    }

    /** Services of one address share its connection. */
    private static Hello service(String name, String address, boolean oneway) {
        return SERVICES.computeIfAbsent(name + address + oneway, key -> {
            String[] parts = name.split(":");
            ConsumerConfig<Hello> service = new ConsumerConfig<Hello>()
                .setApplication(new ApplicationConfig().setAppName("lab")).setInterfaceId(Hello.class.getName()).setVersion(parts[0])
                .setDirectUrl("bolt://" + address).setRegister(false).setSubscribe(false).setTimeout(TIMEOUT_MS).setRetries(0).setRepeatedReferLimit(-1)
                .setInvokeType(oneway ? "oneway" : "sync");
            if (parts.length > 1) {
                service.setUniqueId(parts[1]);
            }
            return service.refer();
        });
    }

    private static String causes(Throwable e) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = e.getCause(); cause != null; cause = cause.getCause()) {
            text.append("; ").append(cause.getClass().getSimpleName()).append(": ").append(cause.getMessage());
        }
        return text.toString();
    }

    private static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ").replace("\t", " ").replace("\r", " ") + "\"";
    }
}
