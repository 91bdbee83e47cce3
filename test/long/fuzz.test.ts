/** The fuzzing of `npm test`, twenty times as long. */
process.env['LATCHKEY_FUZZ_TIMES'] ??= '20'

for (const name of ['codecs', 'replies', 'values', 'cookies', 'save-paths']) await import(`../fuzz/${name}.test.ts`)
