// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.bolt;

import com.alipay.remoting.BizContext;
import com.alipay.remoting.rpc.RpcServer;
import com.alipay.remoting.rpc.protocol.SyncUserProcessor;
import com.alipay.sofa.rpc.config.ApplicationConfig;
import com.alipay.sofa.rpc.config.ProviderConfig;
import com.alipay.sofa.rpc.config.ServerConfig;

/** Server NAME: SOFARPC on port 12200 (SOFABolt 1), and the bare library on 12201. */
public final class Server implements Hello {
    private final String name;

    private Server(String name) {
        this.name = name;
    }

    public static void main(String[] args) {
        Hello hello = new Server(args[0]);
        ServerConfig port = new ServerConfig().setProtocol("bolt").setHost("0.0.0.0").setPort(12200).setDaemon(false);
        for (String version : new String[] {"1.0", "2.0"}) {
            new ProviderConfig<Hello>().setApplication(new ApplicationConfig().setAppName("lab")).setInterfaceId(Hello.class.getName())
                .setVersion(version).setRef(hello).setServer(port).setRegister(false).setRepeatedExportLimit(-1).export();
        }
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
