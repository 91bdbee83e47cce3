import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { type FlightEvent, SessionManager, type Wire } from 'latchkey'
import { instrumentOpenTelemetry } from 'latchkey/opentelemetry'
import { afterAll, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import type { OperatedNode } from '../../src/wire/operated-store.js'
import type { WireScheme } from '../../src/wire/scheme.js'
import { ANY_STORE } from '../../src/wire/wire.js'
import { keysOf } from '../support/keys-of.js'
import { jsonOf, latchkey } from './tool.js'

/**
 * A new wire is a folder and a line in the table of schemes: with the line changed, and nothing else, the manager, the
 * command-line tool, its doctor and what is observed work on a store that is no memcached.
 */

vi.mock('../../src/wire/memory/memory-scheme.js', async () => {
  const { openNamedMemory } = await import('../../src/wire/memory/named-memory.js')
  const open = (name: string): Wire => {
    const wire = openNamedMemory(name, systemClock)
    const node = { name: `box:${name}`, system: 'boxes', address: name, port: undefined }
    return { ...wire, store: { ...ANY_STORE, name: 'box' }, nodeOf: () => node }
  }
  const nodeAt = (name: string): OperatedNode => ({
    name: `box:${name}`,
    open: () => open(name),
    keys: async (prefix) => {
      const wire = open(name)
      return keysOf(wire, prefix).finally(() => wire.close())
    },
    ttlSec: () => Promise.resolve(1234),
    figures: () => Promise.resolve({ data: { lids: 2 }, about: 'a box of cardboard', rows: [['lids', 'two']] }),
    examine: () => {
      const findings = [{ code: 'box-damp', severity: 'advice', message: 'It is damp', advice: 'Dry it.' }] as const
      return Promise.resolve({ data: { lids: 2 }, about: 'a box of cardboard', findings, hasAnswered: true })
    },
    examineUse: () => Promise.resolve([]),
    notReached: () => ({ code: 'unreachable', severity: 'problem', message: 'It is not there', advice: 'Look for it.' }),
  })
  const memoryScheme: WireScheme = {
    beginnings: ['box:'],
    form: 'box:NAME',
    variable: 'BOX',
    read: (savePath) => {
      const name = savePath.slice('box:'.length)
      return { open: () => open(name), operate: () => ({ nodes: [nodeAt(name)], nodeOf: () => nodeAt(name) }) }
    },
  }
  return { memoryScheme }
})

const manager = new SessionManager({ savePath: 'box:attic' })
afterAll(() => manager.close({ graceMs: 0 }))
const env = { BOX: 'box:attic' }

it('the manager keeps sessions in it, and the tool looks into it', async () => {
  await manager.run('an-id', (session) => {
    session.data['user'] = 'ada'
  })
  expect(jsonOf(await latchkey(['inspect', 'an-id'], { env }))).toMatchObject({ server: 'box:attic', ttlSec: 1234, shape: { user: 'text(3)' } })
  const held = await manager.start('an-id', { label: 'GET /' })
  expect(jsonOf(await latchkey(['locks'], { env }))).toMatchObject({ locks: [{ label: 'GET /' }] })
  expect(jsonOf(await latchkey(['holder', 'an-id'], { env }))).toMatchObject({ held: true })
  expect(jsonOf(await latchkey(['stats', '--count'], { env }))).toEqual({ servers: [{ server: 'box:attic', lids: 2, counted: { sessions: 1, locks: 1 } }] })
  expect(jsonOf(await latchkey(['unlock', '--yes', 'an-id'], { env }))).toMatchObject({ unlocked: true })
  await held.abort()
})

it('the doctor plays a session on it', async () => {
  const { out, exitCode } = await latchkey(['doctor'], { env, isRead: true })
  expect(out).toMatch(/^box:attic: a box of cardboard\n {2}advice {3}box-damp: It is damp\n {11}Dry it\.\n {2}ok {7}A session was locked/)
  expect(exitCode).toBe(0)
})

it('it is told by its name: in messages, in events and in spans', async () => {
  expect(manager.flawOf('x'.repeat(300))).toContain('box takes 250')
  const systems = new Set<string | undefined>()
  const listen = (event: unknown): void => {
    systems.add((event as FlightEvent).node?.system)
  }
  subscribe('latchkey:flight', listen)
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const stop = instrumentOpenTelemetry(manager, { tracerProvider })
  await manager.run('an-id', () => undefined)
  stop()
  unsubscribe('latchkey:flight', listen)
  expect([...systems]).toEqual(['boxes'])
  const told = exporter.getFinishedSpans().flatMap(({ attributes }) => attributes['db.system.name'] ?? [])
  expect(new Set(told)).toEqual(new Set(['boxes']))
})

it('a save path that is refused is told how to write one', () => {
  expect(() => new SessionManager({ savePath: 'bxo://attic' })).toThrow(/did you mean box:\?.*, or box:NAME, or file:\S+, or redis:\S+, or redis\+sentinel:\S+, or redis\+cluster:\S+ \(percent/)
})
