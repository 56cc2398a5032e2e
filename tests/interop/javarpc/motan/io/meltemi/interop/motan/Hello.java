// SPDX-License-Identifier: Apache-2.0
package io.meltemi.interop.motan;

/** What the servers of the lab do. */
public interface Hello {
    /** "SERVER TEXT". */
    String hello(String text);

    /** The same after so many ms. */
    String slow(String text, int ms);

    /** An exception of the service. */
    String fail(String text);

    /** Printed by the server. */
    void note(String text);
}
