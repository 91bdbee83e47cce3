import assert from 'node:assert/strict'
import { ANY_STORE, type Cas, type Command, type Reply, type Wire, valueBytes } from '../../wire/wire.js'

/** The kind of subject that a case needs. */
export interface WireSubjectOptions {
  /** Whether the store has only about 8 MB, and refuses writes when it is full instead of evicting. Default false. */
  readonly small?: boolean
  /**
   * Whether the wire may open as many connections as it likes. Default false: it opens one. A wire may refuse a version
   * on a connection that is younger than the version, and most cases do not test that.
   */
  readonly wide?: boolean
}

/** A wire on an empty store of its own. The store takes items of at least 512 KiB. */
export interface WireSubject {
  readonly wire: Wire
  /** Lets time pass for the store, in milliseconds. Waits in real time where the store has a real clock. */
  readonly advance: (ms: number) => Promise<void>
  /** Closes the wire and ends the store. */
  close(): Promise<void>
  /** Restarts the store, empty and at the same address. Leave it out where a store cannot outlive its wire. */
  restart?(): Promise<void>
  /** Whether the store gives the same versions out again after a restart, as memcached does. Default false. */
  readonly repeatsVersions?: boolean
  /** Whether a store that is full still compares versions, and says `exists` of a stale one. Default false: it says that it is full. */
  readonly comparesWhenFull?: boolean
}

/** Makes a subject. Without `options` any kind will do. */
export type MakeWireSubject = (options?: WireSubjectOptions) => Promise<WireSubject>

/** A case: throws where the wire does not do what the case's name says. */
export type Play = (subject: WireSubject) => Promise<void>
export type Plays = readonly (readonly [name: string, play: Play])[]

let made = 0

/** A key that no other case uses. */
export function freshKey(name = 'key'): string {
  return `${name}-${made++}`
}

export const text = (value: string): Buffer => Buffer.from(value, 'latin1')

/** Runs one command as a flight of its own. The key serves as the route. */
export async function run(wire: Wire, command: Command): Promise<Reply> {
  const replies = await wire.flight(command.key, [command])
  assert.equal(replies.length, 1)
  return only(replies)
}

export function only(replies: readonly Reply[]): Reply {
  const [reply] = replies
  if (reply === undefined) return assert.fail('no reply')
  return reply
}

/** The CAS of a reply; fails the case when the reply has none. */
export function casOf(reply: Reply): Cas {
  if (reply.cas === undefined) return assert.fail(`a reply without CAS: ${reply.status}`)
  return reply.cas
}

/** Stores `value` under a fresh key, and returns the key and the version. */
export async function stored(wire: Wire, value: string | Buffer, name?: string): Promise<{ key: string; cas: Cas }> {
  const key = freshKey(name)
  const reply = await run(wire, { op: 'add', key, value: Buffer.from(value), ttlSec: 100 })
  assert.equal(reply.status, 'ok')
  return { key, cas: casOf(reply) }
}

/** Stores something under a fresh key and overwrites it once with `value`. `stale` is the version before that. */
export async function overwritten(wire: Wire, value: string): Promise<{ key: string; cas: Cas; stale: Cas }> {
  const { key, cas: stale } = await stored(wire, 'the version before')
  const item = { key, value: text(value), ttlSec: 100 }
  const reply = await run(wire, { op: 'cas', cas: stale, wantCas: true, ...item })
  assert.equal(reply.status, 'ok')
  return { key, cas: casOf(reply), stale }
}

/** Asserts that `value` is stored under `key`, and under the version `cas` where it is given. */
export async function expectStored(wire: Wire, key: string, value: string | Buffer, cas?: Cas): Promise<void> {
  const reply = await run(wire, { op: 'get', key })
  assert.equal(reply.status, 'ok')
  assertBytes(reply.value, Buffer.from(value))
  if (cas !== undefined) assert.equal(casOf(reply).version, cas.version)
}

export async function expectMissing(wire: Wire, key: string): Promise<void> {
  const { status, value, cas } = await run(wire, { op: 'get', key })
  assert.deepEqual({ status, value, cas }, { status: 'missing', value: undefined, cas: undefined })
}

/** Asserts that both have the same bytes. The message of a failure shows only their beginnings, and not a megabyte. */
export function assertBytes(read: Reply['value'], expected: Buffer): void {
  const bytes = valueBytes(read ?? '')
  if (bytes.equals(expected)) return
  const shown = (value: Buffer): string => `${String(value.length)} bytes, ${JSON.stringify(value.subarray(0, 64).toString('latin1'))}`
  assert.fail(`read ${shown(bytes)}, and not ${shown(expected)}`)
}

export const statusesOf = (replies: readonly Reply[]): Reply['status'][] => replies.map(({ status }) => status)

/** A fresh key of `bytes` bytes; by default the longest key that the store takes. */
export const longKey = (wire: Wire, name: string, bytes = (wire.store ?? ANY_STORE).maxKeyBytes): string =>
  freshKey(name).padEnd(bytes, '~')
