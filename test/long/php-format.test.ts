import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { decodePhpSession, encodePhpSession, type PhpHandler } from 'latchkey/php'
import { SeededRandom } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'

/** What real PHP says of the same bytes. */

const HANDLERS: readonly PhpHandler[] = ['php', 'php_binary', 'php_serialize']
const SCRIPT = fileURLToPath(new URL('./php-format.php', import.meta.url))
const corpus = new URL('../php/corpus/', import.meta.url)

interface Question {
  readonly handler: PhpHandler
  readonly bytes: Buffer
}

/** What PHP writes again, for each; undefined where it refuses. */
function askPhp(questions: readonly Question[]): (string | undefined)[] {
  const input = questions.map(({ handler, bytes }) => `${handler} ${bytes.toString('base64')}\n`).join('')
  const flags = ['-d', 'serialize_precision=-1', '-d', 'memory_limit=1G', '-d', 'session.use_strict_mode=0', '-d', 'session.use_only_cookies=0']
  const { status, stdout, stderr, error } = spawnSync('php', [...flags, SCRIPT], { input, maxBuffer: 1e9, timeout: 60_000 })
  if (error !== undefined || status !== 0) throw new Error(`php is needed for this test (apt-get install php-cli): ${String(error ?? stderr)}`)
  const answers = stdout.toString().split('\n').slice(0, -1)
  expect(answers).toHaveLength(questions.length)
  return answers.map((answer) => (answer === 'no' ? undefined : Buffer.from(answer, 'base64').toString('latin1')))
}

function decoded({ handler, bytes }: Question): Record<string, unknown> | undefined {
  try {
    return decodePhpSession(bytes, handler)
  } catch {
    return undefined
  }
}

describe('the format of sessions, beside real PHP', () => {
  it('20,000 random floats are written as PHP writes them', () => {
    const random = new SeededRandom(1)
    const floats: number[] = [0, -0, 1e15, 1e16, 1e17, 123456789012345680, 0.0001, 0.00001, 5e-324, 1.7976931348623157e308, NaN, Infinity, -Infinity]
    while (floats.length < 20_000) {
      const view = new DataView(new ArrayBuffer(8))
      view.setUint32(0, random.uint32())
      view.setUint32(4, random.uint32())
      const any = view.getFloat64(0)
      floats.push(floats.length % 2 === 0 ? any : Number((random.fraction() * 10 ** random.integer(22)).toPrecision(1 + random.integer(17))))
    }
    // PHP reads our digits, and writes its own.
    const fractions = floats.filter((float) => !Number.isSafeInteger(float) || Object.is(float, -0))
    const question = { handler: 'php_serialize', bytes: encodePhpSession({ fractions }, 'php_serialize') } as const
    expect(askPhp([question])).toEqual([question.bytes.toString('latin1')])
  })

  it('of 20,000 sessions with bytes changed, none that PHP refuses is read, and what both read is written alike', () => {
    const random = new SeededRandom(1)
    const files = readdirSync(corpus).filter((name) => name.endsWith('.bin')).map((name) => ({ name, bytes: readFileSync(new URL(name, corpus)) }))
    // Whether a class, or a case of an enum, is there only PHP knows; and it writes floats with as many digits as it is set to.
    const small = files.filter(({ name, bytes }) => !name.startsWith('floats') && bytes.length < 3000 && !/[OCE]:\d/.test(bytes.toString('latin1')))
    const questions: Question[] = []
    while (questions.length < 20_000) {
      const { name, bytes } = random.pick(small)
      let text = bytes.toString('latin1')
      for (let edits = 1 + random.integer(3); edits > 0; edits--) {
        const at = random.integer(text.length + 1)
        const put = random.pick(['', '', ';', ':', '"', '{', '}', '0', '9', '-', 'i', 's', 'a', 'R', 'N', '|', '.', '\0', 'b:1;', 'R:1;', 'i:1;'])
        text = text.slice(0, at) + put + text.slice(at + random.integer(3))
      }
      if (/[OCE]:/.test(text)) continue
      const own = HANDLERS.find((handler) => name.includes(`.${handler}.`)) ?? 'php'
      questions.push({ handler: random.fraction() < 0.9 ? own : random.pick(HANDLERS), bytes: Buffer.from(text, 'latin1') })
    }
    const answers = askPhp(questions)
    let read = 0
    questions.forEach((question, index) => {
      const { handler, bytes } = question
      const answer = answers[index]
      const data = decoded(question)
      if (data === undefined) return
      const shown = `${handler} ${JSON.stringify(bytes.toString('latin1'))}`
      expect(answer, `PHP refuses ${shown}`).toBeDefined()
      let again: string
      try {
        again = encodePhpSession(data, handler).toString('latin1')
      } catch {
        // A name that PHP leaves out, with a notice, or what JavaScript cannot write: refused, and nothing is lost.
        return
      }
      read++
      expect([bytes.toString('latin1'), answer], shown).toContain(again)
    })
    expect(read).toBeGreaterThan(1000)
  })
})
