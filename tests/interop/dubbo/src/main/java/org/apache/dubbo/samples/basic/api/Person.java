// SPDX-License-Identifier: Apache-2.0
package org.apache.dubbo.samples.basic.api;

import java.io.Serializable;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;

public class Person implements Serializable {
    private static final long serialVersionUID = 1L;

    private String name;
    private int age;
    private Date born;
    private double height;
    private List<Person> children = new ArrayList<>();

    public Person() {}

    public Person(String name, int age) {
        this.name = name;
        this.age = age;
        this.born = new Date(86_400_000L * 365 * (54 - age));
        this.height = 1.0 + age / 64.0;
    }

    public String getName() {
        return name;
    }

    public int getAge() {
        return age;
    }

    public void setAge(int age) {
        this.age = age;
    }

    public List<Person> getChildren() {
        return children;
    }

    @Override
    public String toString() {
        return name + "," + age + "," + born.getTime() + "," + height + "," + children;
    }
}
