import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { decodePhpSession, encodePhpSession, type PhpHandler } from 'latchkey/php'

interface CorpusFile {
  readonly handler: string
  readonly file?: string
  readonly php_decodes?: boolean
  readonly php_reencodes_same?: boolean
}
interface HostileCase {
  readonly name: string
  readonly handler: PhpHandler
  readonly file: string
  readonly accepted: boolean
  readonly reencoded_base64: string
}

const corpus = new URL('./corpus/', import.meta.url)
const bytesOf = (file: string): Buffer => readFileSync(new URL(file, corpus))
const json = (file: string): unknown => JSON.parse(bytesOf(file).toString())
const { cases } = json('manifest.json') as { cases: { name: string; files: CorpusFile[] }[] }
const hostile = (json('hostile.json') as { cases: HostileCase[] }).cases

const isOurs = (handler: string): handler is PhpHandler => ['php', 'php_binary', 'php_serialize'].includes(handler)
const written = cases.flatMap(({ name, files }) =>
  files.flatMap(({ handler, file, php_reencodes_same: same }) =>
    file !== undefined && same === true && isOurs(handler) ? [[name, handler, file] as const] : [],
  ),
)

describe('a session that PHP has written', () => {
  it('there are many', () => {
    expect(written.length).toBeGreaterThan(100)
  })

  it.each(written)('%s, %s: decoded and written again it has the same bytes', (_name, handler, file) => {
    const bytes = bytesOf(file)
    expect(encodePhpSession(decodePhpSession(bytes, handler), handler).toString('latin1')).toBe(bytes.toString('latin1'))
  })
})

/** Only the class itself tells PHP that it cannot be so, and no class is ever looked for here. */
const OF_THE_CLASS = ['object-typed-mismatch', 'enum-unknown-class', 'enum-as-object']

describe('bytes that PHP has not written', () => {
  it.each(hostile.filter(({ accepted, name }) => !accepted && !OF_THE_CLASS.includes(name)).map((one) => [one.name, one] as const))(
    '%s: is refused, as PHP refuses it',
    (_name, { handler, file }) => {
      expect(() => decodePhpSession(bytesOf(file), handler)).toThrow(expect.objectContaining({ code: 'LATCHKEY_UNDECODABLE' }))
    },
  )

  it.each(hostile.filter(({ accepted }) => accepted).map((one) => [one.name, one] as const))(
    '%s: is what PHP makes of it, or refused',
    (_name, { handler, file, reencoded_base64: again }) => {
      const bytes = bytesOf(file)
      let data: object
      try {
        data = decodePhpSession(bytes, handler)
      } catch (error) {
        expect(error).toMatchObject({ code: 'LATCHKEY_UNDECODABLE' })
        return
      }
      const texts = [bytes.toString('latin1'), Buffer.from(again, 'base64').toString('latin1')]
      expect(texts).toContain(encodePhpSession(data, handler).toString('latin1'))
    },
  )
})
