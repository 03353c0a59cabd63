// A refusal: whose fault, which field, what was found, what would be right. Everything that verifies throws this or nothing.

const FOUND_CHARACTERS_MAX = 160;

export class Refusal extends Error {
  constructor(field, found, expected) {
    const text = String(found);
    const shown = text.length > FOUND_CHARACTERS_MAX ? `${text.slice(0, FOUND_CHARACTERS_MAX)}…` : text;
    super(`${field}: found ${shown}, expected ${expected}`);
    this.name = "Refusal";
    this.field = field;
    this.found = shown;
    this.expected = expected;
  }
}

/** The charter is whole, but not the one of what the visitor gave: either of the two may be the wrong one. */
export class AnchorRefusal extends Refusal {}

export function demand(isRight, field, found, expected) {
  if (!isRight) throw new Refusal(field, found, expected);
}
