import { expect } from 'vitest'
import { type Cas, type Command, type Reply, type Wire, areSameBytes } from '../../../src/wire/wire.js'

export interface SubjectOptions {
  /** A store of about 8 MB that refuses writes when it is full instead of evicting. Default false. */
  readonly small?: boolean
  /**
   * As many connections as the wire opens by itself. Default false: one, because a version that was read before a
   * connection was opened may be refused there, which is not what most cases are about.
   */
  readonly wide?: boolean
}

/** A wire on an empty store of its own; its largest item is 1 MiB. */
export interface Subject {
  readonly wire: Wire
  /** Lets time pass for the store; may really wait. */
  advance(ms: number): Promise<void>
  /** Closes the wire and ends the store. */
  close(): Promise<void>
  /** The store starts anew, empty, at the same place. Absent where a store cannot outlive its wire. */
  restart?(): Promise<void>
  /** Whether the store gives the same versions out again after a restart, as memcached does. Default false. */
  readonly repeatsVersions?: boolean
}

export type MakeSubject = (options?: SubjectOptions) => Promise<Subject>

export type GetWire = () => Wire

let made = 0

/** A key that no other case uses. */
export function freshKey(name = 'key'): string {
  return `${name}-${made++}`
}

export const text = (value: string): Buffer => Buffer.from(value, 'latin1')

/** Runs one command as a flight of its own; the route is the key. */
export async function run(wire: Wire, command: Command): Promise<Reply> {
  const replies = await wire.flight(command.key, [command])
  expect(replies).toHaveLength(1)
  return only(replies)
}

export function only(replies: readonly Reply[]): Reply {
  const [reply] = replies
  if (reply === undefined) throw new Error('no reply')
  return reply
}

/** The CAS that a reply must have. */
export function casOf(reply: Reply): Cas {
  if (reply.cas === undefined) throw new Error(`a reply without CAS: ${reply.status}`)
  return reply.cas
}

/** Stores `value` under a fresh key, and says where and as which version. */
export async function stored(wire: Wire, value: string | Buffer, name?: string): Promise<{ key: string; cas: Cas }> {
  const key = freshKey(name)
  const reply = await run(wire, { op: 'add', key, value: Buffer.from(value), ttlSec: 100 })
  expect(reply.status).toBe('ok')
  return { key, cas: casOf(reply) }
}

/** Stores `value` under a fresh key and overwrites it once: `stale` is the version before. */
export async function overwritten(wire: Wire, value: string): Promise<{ key: string; cas: Cas; stale: Cas }> {
  const { key, cas: stale } = await stored(wire, 'the version before')
  const item = { key, value: text(value), ttlSec: 100 }
  const reply = await run(wire, { op: 'cas', cas: stale, wantCas: true, ...item })
  expect(reply.status).toBe('ok')
  return { key, cas: casOf(reply), stale }
}

/** Asserts what is stored under `key`: value, and version where given. */
export async function expectStored(wire: Wire, key: string, value: string | Buffer, cas?: Cas): Promise<void> {
  const reply = await run(wire, { op: 'get', key })
  expect(reply.status).toBe('ok')
  expect(areSameBytes(reply.value ?? '', Buffer.from(value))).toBe(true)
  if (cas !== undefined) expect(casOf(reply).version).toBe(cas.version)
}

export async function expectMissing(wire: Wire, key: string): Promise<void> {
  expect(await run(wire, { op: 'get', key })).toMatchObject({ status: 'missing', value: undefined, cas: undefined })
}
