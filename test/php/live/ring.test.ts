import { describe, expect, it } from 'vitest'
import { phpDialect } from '../../../src/session/dialect/php-dialect.js'
import { checkedPhp } from '../../../src/session/dialect/php-options.js'
import { SeededRandom } from '../../../src/testing/seeded-random.js'
import { createPhpRing } from '../../../src/wire/memcached/php-ring.js'
import { parseServers } from '../../../src/wire/memcached/save-path.js'
import { runPhp } from '../../support/php.js'

type Server = readonly [host: string, port: number, weight?: number]

const refuse = (...words: unknown[]): never => {
  throw new Error(words.join(' '))
}

const savePathOf = (servers: readonly Server[]): string =>
  servers.map(([host, port, weight]) => (port === 0 ? `unix://${host}` : `tcp://${host}:${String(port)}${weight === undefined ? '' : `?weight=${String(weight)}`}`)).join(',')

const LISTS: readonly (readonly Server[])[] = [
  [['127.0.0.1', 11211], ['127.0.0.1', 11212]],
  [['10.0.0.1', 11211], ['10.0.0.2', 11211], ['10.0.0.3', 11211]],
  [['LocalHost', 21211], ['cache-1.Example.org', 11211], ['10.0.0.9', 22122]],
  [['/run/memcached/a.sock', 0], ['127.0.0.1', 11211]],
  [['10.0.0.1', 11211, 1], ['10.0.0.2', 11211, 5], ['10.0.0.3', 22122, 2]],
  [['10.0.0.1', 11211, 7], ['10.0.0.2', 11212, 7]],
  [['a', 1, 30], ['b', 2, 1000], ['c', 3, 333]],
]

describe.each(['ketama', 'modula'] as const)('%s', (ring) => {
  it.each(LISTS)('keys live where PHP keeps them: %j, %j ...', (...servers: Server[]) => {
    const random = new SeededRandom(7)
    const { createSid, placement, layoutFor, prefix } = phpDialect(checkedPhp({ extension: 'memcached', ring }))
    const layout = layoutFor(undefined)
    const owner = createPhpRing(parseServers(savePathOf(servers), refuse), ring)
    const keys = Array.from({ length: 2000 }, () => layout.keysOf(createSid(random))).flatMap(({ record, lock }) => [record, lock])
    const input = keys.map((key) => key.slice(prefix.length) + '\n').join('')
    const theirs = runPhp('ring.php', [ring, JSON.stringify(servers), prefix], { input }).trimEnd().split('\n')
    const ours = keys.map((key) => {
      const [host, port] = servers[owner(placement?.hashedPart(key) ?? '')] ?? []
      return `${String(host)}:${String(port)}`
    })
    expect(new Set(theirs).size).toBe(servers.length)
    expect(ours).toEqual(theirs)
  })
})

it('the line of a session lives beside its lock', () => {
  const { placement, layoutFor } = phpDialect(checkedPhp({ extension: 'memcached' }))
  const { lock, line } = layoutFor(undefined).keysOf('abc')
  expect(placement?.hashedPart(line)).toBe(placement?.hashedPart(lock))
  expect(placement?.hashedPartOf('abc')).toBe('lock.abc')
})
