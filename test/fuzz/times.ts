/** How many times longer than in `npm test` to fuzz: LATCHKEY_FUZZ_TIMES, set by test/long/fuzz.test.ts. Default 1. */
export function timesLonger(): number {
  const text = process.env['LATCHKEY_FUZZ_TIMES'] ?? '1'
  const times = Number(text)
  if (times >= 1 && times <= 10_000) return times
  throw new RangeError(`LATCHKEY_FUZZ_TIMES is ${text}; it is a number from 1 to 10000`)
}
