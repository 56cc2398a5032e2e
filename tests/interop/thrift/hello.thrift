// SPDX-License-Identifier: Apache-2.0
// What the Thrift interop scenarios call: one method for each shape of request or reply.
namespace py hello
namespace cpp hello

exception Refused {
  1: string reason
}

struct Person {
  1: string name,
  2: i32 age,
  3: list<string> tags,
  4: map<string, i64> scores,
  5: optional list<Person> friends,
  6: double height,
  7: bool happy,
  8: binary picture,
}

service Hello {
  string sayHello(1: string name),
  string sayGoodbye(1: string name),
  string echo(1: string text),
  Person older(1: Person person),
  string fail(1: string reason) throws (1: Refused refused),
  oneway void note(1: string text),
  i32 notes(),
  string slow(1: i32 millis),
}
