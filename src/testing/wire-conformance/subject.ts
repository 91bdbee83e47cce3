import assert from 'node:assert/strict'
import { ANY_STORE, type Cas, type Command, type Reply, type Wire, valueBytes } from '../../wire/wire.js'

/** What a case needs of a subject. */
export interface WireSubjectOptions {
  /** A store of about 8 MB that refuses writes when it is full instead of evicting. Default false. */
  readonly small?: boolean
  /**
   * As many connections as the wire opens by itself. Default false: one, because a version that was read before a
   * connection was opened may be refused there, which is not what most cases are about.
   */
  readonly wide?: boolean
}

/** A wire on an empty store of its own, which takes items of 512 KiB at least. */
export interface WireSubject {
  readonly wire: Wire
  /** Lets time pass for the store; may really wait. */
  readonly advance: (ms: number) => Promise<void>
  /** Closes the wire and ends the store. */
  close(): Promise<void>
  /** The store starts anew, empty, at the same place. Absent where a store cannot outlive its wire. */
  restart?(): Promise<void>
  /** Whether the store gives the same versions out again after a restart, as memcached does. Default false. */
  readonly repeatsVersions?: boolean
}

/** Makes one; without `options` any will do. */
export type MakeWireSubject = (options?: WireSubjectOptions) => Promise<WireSubject>

/** What must be so, by name. */
export type Play = (subject: WireSubject) => Promise<void>
export type Plays = readonly (readonly [name: string, play: Play])[]

let made = 0

/** A key that no other case uses. */
export function freshKey(name = 'key'): string {
  return `${name}-${made++}`
}

export const text = (value: string): Buffer => Buffer.from(value, 'latin1')

/** Runs one command as a flight of its own; the route is the key. */
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

/** The CAS that a reply must have. */
export function casOf(reply: Reply): Cas {
  if (reply.cas === undefined) return assert.fail(`a reply without CAS: ${reply.status}`)
  return reply.cas
}

/** Stores `value` under a fresh key, and says where and as which version. */
export async function stored(wire: Wire, value: string | Buffer, name?: string): Promise<{ key: string; cas: Cas }> {
  const key = freshKey(name)
  const reply = await run(wire, { op: 'add', key, value: Buffer.from(value), ttlSec: 100 })
  assert.equal(reply.status, 'ok')
  return { key, cas: casOf(reply) }
}

/** Stores `value` under a fresh key and overwrites it once: `stale` is the version before. */
export async function overwritten(wire: Wire, value: string): Promise<{ key: string; cas: Cas; stale: Cas }> {
  const { key, cas: stale } = await stored(wire, 'the version before')
  const item = { key, value: text(value), ttlSec: 100 }
  const reply = await run(wire, { op: 'cas', cas: stale, wantCas: true, ...item })
  assert.equal(reply.status, 'ok')
  return { key, cas: casOf(reply), stale }
}

/** Asserts what is stored under `key`: value, and version where given. */
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

/** Without printing a megabyte where they differ. */
export function assertBytes(read: Reply['value'], expected: Buffer): void {
  const bytes = valueBytes(read ?? '')
  if (bytes.equals(expected)) return
  const shown = (value: Buffer): string => `${String(value.length)} bytes, ${JSON.stringify(value.subarray(0, 64).toString('latin1'))}`
  assert.fail(`read ${shown(bytes)}, and not ${shown(expected)}`)
}

export const statusesOf = (replies: readonly Reply[]): Reply['status'][] => replies.map(({ status }) => status)

/** A fresh key of so many bytes; by default the longest that the store takes. */
export const longKey = (wire: Wire, name: string, bytes = (wire.store ?? ANY_STORE).maxKeyBytes): string =>
  freshKey(name).padEnd(bytes, '~')
