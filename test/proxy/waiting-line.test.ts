import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Waiter, WaitingLine } from "../../src/proxy/waiting-line.ts";

interface Person extends Waiter<Person> {
  readonly name: number;
}

describe("WaitingLine", () => {
  test("serves like a list of which anybody may be taken out", () => {
    const step = fc.record({ name: fc.nat(7), does: fc.constantFrom("join", "leave", "next") });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const people = Array.from({ length: 8 }, (_, name) => createPerson(name));
        const line = new WaitingLine<Person>();
        let expected: number[] = [];
        for (const { name, does } of steps) {
          const person = people[name] ?? createPerson(name);
          if (does === "next") {
            expect(line.next()?.name).toBe(expected.shift());
          } else if (does === "leave") {
            expect(line.leave(person)).toBe(expected.includes(name));
            expected = expected.filter((other) => other !== name);
          } else if (!expected.includes(name)) {
            line.join(person);
            expected.push(name);
          }
          expect(line.length).toBe(expected.length);
          expect(line.first?.name).toBe(expected[0]);
        }
      }),
    );
  });

  test("who has left knows nobody who came later", () => {
    const line = new WaitingLine<Person>();
    const [first, second] = [createPerson(1), createPerson(2)];
    line.join(first);
    line.join(second);
    line.next();
    expect(first).toEqual(createPerson(1));
  });
});

function createPerson(name: number): Person {
  return { name, ahead: undefined, behind: undefined, isWaiting: false };
}
