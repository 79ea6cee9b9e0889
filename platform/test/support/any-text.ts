import fc from "fast-check";

/**
 * Any text of at most so many characters. fast-check's own (`unit: "binary"`) would first map every character there is,
 * which takes each test file a second.
 */
export function anyText(maxLength = 10): fc.Arbitrary<string> {
  const character = fc.integer({ min: 0, max: 0x10ffff }).map((point) => String.fromCodePoint(point).toWellFormed());
  return fc.oneof(
    fc.string({ maxLength }),
    fc.array(character, { maxLength }).map((characters) => characters.join("")),
  );
}
