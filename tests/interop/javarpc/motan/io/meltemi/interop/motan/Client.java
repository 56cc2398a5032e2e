// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.motan;

import com.weibo.api.motan.config.ProtocolConfig;
import com.weibo.api.motan.config.RefererConfig;
import com.weibo.api.motan.config.RegistryConfig;
import com.weibo.api.motan.exception.MotanAbstractException;
import com.weibo.api.motan.rpc.RpcContext;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;

/**
 * Reads orders, one a line, and prints an answer to each: the text that the service returned, or the exception that the library threw.
 *
 * <pre>
 * PROTOCOL VERSION ADDRESS:PORT METHOD TEXT [MS] [KEY=VALUE ...]   a call of a service's version with these attachments; PROTOCOL motan or motan2
 * </pre>
 */
public final class Client {
    private static final int TIMEOUT_MS = 8000;
    private static final Map<String, Hello> SERVICES = new HashMap<>();

    private Client() {
    }

    public static void main(String[] args) throws Exception {
        System.out.println("{\"ready\": true}");
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        for (String order = orders.readLine(); order != null; order = orders.readLine()) {
            String answer;
            try {
                answer = "answer\": " + quoted(call(order.split(" ")));
            } catch (MotanAbstractException e) {
                answer = "error\": " + quoted(e.getClass().getSimpleName() + " " + e.getErrorCode() + " " + e.getMessage());
            } catch (Throwable e) {
                answer = "error\": " + quoted(e.getClass().getSimpleName() + " " + e.getMessage());
            } finally {
                RpcContext.destroy();
            }
            System.out.println("{\"" + answer + "}");
        }
        System.exit(0);
    }

    private static String call(String[] words) {
        Hello hello = service(words[0], words[1], words[2]);
        for (int i = 5; i < words.length; i++) {
            String[] pair = words[i].split("=");
            if (pair.length == 2) {
                RpcContext.getContext().setRpcAttachment(pair[0], pair[1]);
            }
        }
        switch (words[3]) {
            case "hello":
                return hello.hello(words[4]);
            case "slow":
                return hello.slow(words[4], Integer.parseInt(words[5]));
            case "fail":
                return hello.fail(words[4]);
            default:
                hello.note(words[4]);
                return "noted";
        }
    }

    private static Hello service(String protocol, String version, String address) {
        return SERVICES.computeIfAbsent(protocol + version + address, key -> {
            ProtocolConfig wire = new ProtocolConfig();
            wire.setId(protocol);
            wire.setName(protocol);
            wire.setMinClientConnection(1);
            // A client with so many errors in turn is unavailable until a heartbeat is answered.
            wire.setParameters(Map.of("fusingThreshold", "2"));
            wire.setHaStrategy("failfast");
            RegistryConfig registry = new RegistryConfig();
            registry.setRegProtocol("local");
            RefererConfig<Hello> referer = new RefererConfig<>();
            referer.setInterface(Hello.class);
            referer.setApplication("lab");
            referer.setModule("lab");
            referer.setGroup("lab");
            referer.setVersion(version);
            referer.setRequestTimeout(TIMEOUT_MS);
            referer.setRegistry(registry);
            referer.setProtocol(wire);
            // By default a thread opens the connection, and a first call that comes meanwhile opens another one.
            referer.setAsyncInitConnection(false);
            referer.setDirectUrl(address);
            return referer.getRef();
        });
    }

    private static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", " ").replace("\t", " ").replace("\r", " ") + "\"";
    }
}
