/**
 * The same application with express-session and with latchkey: what a client gets, what a handler sees and what is stored
 * is the same, for every shape of response, in every wrapper, in each protocol. What differs must be as Node has it without
 * any session, or be meant (intended.ts).
 */
import { afterAll, describe, expect, it } from 'vitest'
import { playsAllRows, rowsOf } from '../../support/matrix.js'
import { INTENDED, type Intended } from './intended.js'
import { type Protocol, type Shape, SHAPES } from './shapes.js'
import { type Exchange, type Outcome, Side, type SideName, type Visit, VISITS } from './sides.js'
import { isHttp1Only, WRAPPER_NAMES } from './wrappers.js'

const PROTOCOLS: readonly Protocol[] = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/2']

/** Against what hangs, not against what is slow. */
const LIMIT_MS = 15_000

const used = new Set<Intended>()

describe.each(PROTOCOLS)('%s', (protocol) => {
  const sides = new Map<SideName, Promise<Side>>()
  const sideOf = (name: SideName): Promise<Side> => {
    const side = sides.get(name) ?? Side.start(name, protocol)
    sides.set(name, side)
    return side
  }
  afterAll(async () => {
    for (const side of sides.values()) await (await side).close()
  })

  const ask = async (name: SideName, exchange: Exchange): Promise<Outcome> => {
    const side = await sideOf(name)
    let timer: NodeJS.Timeout | undefined
    const hangs = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(reject, LIMIT_MS, new Error(`${name} hangs: ${nameOf(exchange)}`))
    })
    try {
      return await Promise.race([side.ask(exchange), hangs])
    } catch (error) {
      sides.delete(name)
      await side.close()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  const wrappers = rowsOf(WRAPPER_NAMES.filter((name) => protocol !== 'HTTP/2' || !isHttp1Only(name)), 2)

  it.each(wrappers)('before and after the session: %s', async (wrapper) => {
    const differences: Record<string, unknown> = {}
    for (const [shape, visit] of casesOf(protocol, wrapper)) {
      const exchange: Exchange = { wrapper, shape, visit, sid: sidOf() }
      if (isIntended(protocol, exchange)) continue
      const expected = await ask('express-session', exchange)
      const found = await ask('latchkey', exchange)
      const fields = differing(expected, found)
      if (fields.length === 0) continue
      const node = await ask('Node', exchange)
      const left = fields
        .filter((field) => FIELDS_OF_SESSIONS.includes(field) || differing(node, found).includes(field))
        .filter((field) => !isIntended(protocol, exchange, field))
      if (left.length > 0) differences[nameOf(exchange)] = left.map((field) => [field, expected[field], found[field]])
    }
    expect(differences).toEqual({})
  })

  it.each(wrappers)('held back without any session: %s', async (wrapper) => {
    const differences: Record<string, unknown> = {}
    for (const [shape, visit] of casesOf(protocol, wrapper)) {
      const exchange: Exchange = { wrapper, shape, visit, sid: sidOf() }
      if (isIntended(protocol, exchange)) continue
      const expected = await ask('Node', exchange)
      const found = await ask('gate', exchange)
      // What the handler sees meanwhile, and what is stored, is compared above.
      const fields = differing(expected, found).filter((field) => !FIELDS_BESIDE.includes(field))
      if (fields.length === 0) continue
      const other = differing(await ask('express-session', exchange), found)
      const left = fields.filter((field) => other.includes(field) && !isIntended(protocol, exchange, field))
      if (left.length > 0) differences[nameOf(exchange)] = left.map((field) => [field, expected[field], found[field]])
    }
    expect(differences).toEqual({})
  })

  it.runIf(protocol === 'HTTP/1.1')('pipelined requests of one session', async () => {
    const shape = SHAPES['GET a length, and end'] ?? never()
    const exchange: Exchange = { wrapper: 'nothing', shape, visit: 'changed', sid: sidOf() }
    const expected = await (await sideOf('express-session')).pipeline(exchange, 5)
    expect(await (await sideOf('latchkey')).pipeline(exchange, 5)).toBe(expected)
    expect(expected.match(/HTTP\/1.1 200 OK/g)).toHaveLength(5)
  })
})

it.runIf(playsAllRows)('every difference that is meant is met', () => {
  expect(INTENDED.filter((intended) => !used.has(intended))).toEqual([])
})

/** One visit for each shape, by turns, of HTTP/1.0 and 2 a third of the shapes; with nothing around the session `npm run test:all` has all visits. */
function casesOf(protocol: Protocol, wrapper: string): [Shape, Visit][] {
  const shapes = Object.values(SHAPES)
  const turn = WRAPPER_NAMES.indexOf(wrapper)
  return shapes.flatMap((shape, at) => {
    if (shape.not?.includes(protocol) === true) return []
    const isBare = wrapper === 'nothing'
    if (isBare && protocol === 'HTTP/1.1' && playsAllRows) return VISITS.map((visit): [Shape, Visit] => [shape, visit])
    if (!(isBare && playsAllRows) && protocol !== 'HTTP/1.1' && (at + turn) % 3 !== 0) return []
    return [[shape, VISITS[(at + turn + Math.floor(at / 9)) % 3] ?? 'new']]
  })
}

/** What Node without sessions has nothing to say of. */
const FIELDS_OF_SESSIONS: readonly string[] = ['cookies', 'stored']

/** What is no part of what a client gets, whoever answers. */
const FIELDS_BESIDE: readonly string[] = [...FIELDS_OF_SESSIONS, 'events']

const isLength = (outcome: Outcome, length: string | undefined): boolean =>
  outcome.body === '' || Number(length) === outcome.body.length

function differing(expected: Outcome, found: Outcome): (keyof Outcome)[] {
  const fields = Object.keys(found) as (keyof Outcome)[]
  return fields.filter((field) => {
    // Head and body leave together here, so that the length is known: Node then says it, and sends no chunks.
    if (field === 'length' && expected.length === undefined && isLength(found, found.length)) return false
    return JSON.stringify(expected[field]) !== JSON.stringify(found[field])
  })
}

/** Without a field: whether all of it is. */
function isIntended(protocol: Protocol, exchange: Exchange, field?: keyof Outcome): boolean {
  const name = shapeName(exchange.shape)
  const intended = INTENDED.find(
    ({ shapes, wrappers, protocols, fields }) =>
      shapes.test(name) &&
      (wrappers?.test(exchange.wrapper) ?? true) &&
      (protocols?.includes(protocol) ?? true) &&
      (fields === 'all' || (field !== undefined && fields.includes(field))),
  )
  if (intended !== undefined) used.add(intended)
  return intended !== undefined
}

const NAMES = new Map(Object.entries(SHAPES).map(([name, shape]) => [shape, name]))
const shapeName = (shape: Shape): string => NAMES.get(shape) ?? ''
const nameOf = ({ shape, visit, wrapper }: Exchange): string => `${shapeName(shape)}, ${visit}, in ${wrapper}`

let sids = 0
const sidOf = (): string => `session-${String(sids++)}`

const never = (): never => {
  throw new Error('no such shape')
}
