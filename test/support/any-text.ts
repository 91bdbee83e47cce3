import fc from 'fast-check'

const SURROGATES_FROM = 0xd800
const SURROGATES = 0x800
const LATIN_1 = 0xff
/** The code points of Unicode, without the halves of surrogate pairs. Half of them are those of one byte, which are seldom drawn among all. */
const codePoint = fc
  .oneof(fc.nat(LATIN_1), fc.nat(0x10_ffff - SURROGATES))
  .map((index) => String.fromCodePoint(index < SURROGATES_FROM ? index : index + SURROGATES))

/**
 * Any text: of code points from the whole of Unicode, or in ASCII, with the names that fast-check knows to be dangerous (`__proto__`).
 *
 * fast-check's own `unit: 'binary'` is the same, and makes a table of a million characters first. To make it takes longer than most
 * tests do, and it stays in the heap of a process that plays many files.
 */
export const anyText = (constraints: { readonly maxLength?: number } = {}): fc.Arbitrary<string> =>
  fc.oneof({ weight: 3, arbitrary: fc.string({ ...constraints, unit: codePoint }) }, { weight: 1, arbitrary: fc.string(constraints) })
