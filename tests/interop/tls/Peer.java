// SPDX-License-Identifier: Apache-2.0

import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/**
 * One end of TLS connections by Java's own library (JSSE): a server that sends back what it is sent, or a client that makes several
 * connections of each version one after the other and wants its lines back.
 *
 * Peer server|client PORT DIR VERSIONS [CONNECTIONS LINES LENGTH]
 */
public final class Peer {
    private static final char[] PASSWORD = "changeit".toCharArray();

    private static SSLContext context(Path dir) throws Exception {
        KeyStore keys = KeyStore.getInstance("PKCS12");
        KeyStore roots = KeyStore.getInstance("PKCS12");
        KeyManagerFactory ours = KeyManagerFactory.getInstance("PKIX");
        TrustManagerFactory theirs = TrustManagerFactory.getInstance("PKIX");
        SSLContext context = SSLContext.getInstance("TLS");

        try (InputStream in = new FileInputStream(dir.resolve("identity.p12").toFile())) {
            keys.load(in, PASSWORD);
        }
        roots.load(null, null);
        try (InputStream in = new FileInputStream(dir.resolve("root-cert.pem").toFile())) {
            int n = 0;
            for (Certificate c : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                roots.setCertificateEntry("root" + n++, c);
            }
        }
        ours.init(keys, PASSWORD);
        theirs.init(roots);
        context.init(ours.getKeyManagers(), theirs.getTrustManagers(), null);
        return context;
    }

    private static void echo(SSLSocket s) {
        byte[] buf = new byte[65536];

        try (s; InputStream in = s.getInputStream(); OutputStream out = s.getOutputStream()) {
            for (int n; (n = in.read(buf)) > 0;) {
                out.write(buf, 0, n);
            }
            System.out.println("ended");
        } catch (Exception e) {
            System.out.println("ended: " + e);
        }
    }

    private static void serve(SSLContext context, int port, String[] versions) throws Exception {
        SSLServerSocket l = (SSLServerSocket) context.getServerSocketFactory().createServerSocket(port);
        SSLParameters p = l.getSSLParameters();

        p.setNeedClientAuth(true);
        p.setProtocols(versions);
        p.setApplicationProtocols(new String[] {"istio"});
        l.setSSLParameters(p);
        System.out.println("ready 127.0.0.1:" + l.getLocalPort());
        while (true) {
            echo((SSLSocket) l.accept());
        }
    }

    private static void call(SSLContext context, int port, String version, int lines, int length) throws Exception {
        try (SSLSocket s = (SSLSocket) context.getSocketFactory().createSocket("127.0.0.1", port)) {
            byte[] line = new byte[length + 1];
            SSLParameters p = s.getSSLParameters();

            p.setProtocols(new String[] {version});
            p.setApplicationProtocols(new String[] {"h2", "istio"});
            s.setSSLParameters(p);
            s.setSoTimeout(20000);
            for (int i = 0; i < lines; i++) {
                Arrays.fill(line, (byte) ('a' + i % 26));
                s.getOutputStream().write(line);
                if (!Arrays.equals(s.getInputStream().readNBytes(line.length), line)) {
                    throw new Exception("line " + i + " is another one");
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        SSLContext context = context(Path.of(args[2]));
        int port = Integer.parseInt(args[1]);
        String[] versions = args[3].split(",");

        if (args[0].equals("server")) {
            serve(context, port, versions);
        }
        for (String version : versions) {
            for (int i = 0; i < Integer.parseInt(args[4]); i++) {
                call(context, port, version, Integer.parseInt(args[5]), Integer.parseInt(args[6]));
            }
        }
        System.out.println("good");
    }
}
