// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.bolt;

import com.alipay.remoting.BizContext;
import com.alipay.remoting.CustomSerializerManager;
import com.alipay.remoting.DefaultCustomSerializer;
import com.alipay.remoting.exception.DeserializationException;
import com.alipay.remoting.rpc.RequestCommand;
import com.alipay.remoting.rpc.ResponseCommand;
import com.alipay.remoting.rpc.RpcServer;
import com.alipay.remoting.rpc.protocol.RpcResponseCommand;
import com.alipay.remoting.rpc.protocol.SyncUserProcessor;
import com.alipay.sofa.rpc.codec.bolt.SimpleMapSerializer;
import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ProviderConfig;
import com.alipay.sofa.rpc.config.ServerConfig;
import java.nio.charset.StandardCharsets;

/** Server NAME: SOFARPC on port 12200 (SOFABolt 1), and the bare library on 12201. */
public final class Server implements Hello {
    private final String name;

    private Server(String name) {
        this.name = name;
    }

    public static void main(String[] args) {
        Hello hello = new Server(args[0]);
        ServerConfig port = new ServerConfig().setProtocol("bolt").setHost("0.0.0.0").setPort(12200).setDaemon(false);
        for (String[] name : new String[][] {{"1.0"}, {"2.0"}, {"1.0", "unique"}}) {
            ProviderConfig<Hello> service = new ProviderConfig<Hello>().setApplication(new ApplicationConfig().setAppName("lab"))
                .setInterfaceId(Hello.class.getName()).setVersion(name[0]).setRef(hello).setServer(port).setRegister(false).setRepeatedExportLimit(-1);
            if (name.length > 1) {
                service.setUniqueId(name[1]);
            }
            service.export();
        }
        CustomSerializerManager.registerCustomSerializer(String.class.getName(), new Headers());
        RpcServer bare = new RpcServer(12201);
        bare.registerUserProcessor(new Echo(args[0]));
        bare.startup();
        System.out.println("{\"ready\": true}");
    }

    @Override
    public String hello(String text) {
        return name + " " + text;
    }

    @Override
    public String slow(String text, int ms) {
        // A test kills the server when it has read the call.
        System.out.println("slow " + text);
        sleep(ms);
        return hello(text);
    }

    @Override
    public String fail(String text) {
        throw new IllegalStateException(text);
    }

    @Override
    public void note(String text) {
        System.out.println("note " + text);
    }

    private static void sleep(int ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Headers of the bare library: prints the pairs of a request, which its own client does not send, and breaks those of a reply to "broken". */
    private static final class Headers extends DefaultCustomSerializer {
        @Override
        public <T extends RequestCommand> boolean deserializeHeader(T request) throws DeserializationException {
            new SimpleMapSerializer().decode(request.getHeader()).forEach((key, value) -> System.out.println("header " + key + "=" + value));
            return true;
        }

        @Override
        public <T extends ResponseCommand> boolean serializeHeader(T reply) {
            if (((RpcResponseCommand) reply).getResponseObject().toString().endsWith(" broken")) {
                // Its first four bytes are the length of a key.
                reply.setHeader("longer".getBytes(StandardCharsets.UTF_8));
            }
            return true;
        }
    }

    /** Texts of the bare library; "note ..." is printed. */
    private static final class Echo extends SyncUserProcessor<String> {
        private final String name;

        Echo(String name) {
            this.name = name;
        }

        @Override
        public Object handleRequest(BizContext context, String text) {
            if (text.startsWith("note ")) {
                System.out.println(text);
            }
            return name + " " + text;
        }

        @Override
        public String interest() {
            return String.class.getName();
        }
    }
}
