/** One process of the soak: visits sessions at random, several at a time, and tells what came of every change. */
import { setTimeout as sleep } from 'node:timers/promises'
import { LatchkeyError, SessionManager, type SessionStore } from '../src/index.js'
import { SeededRandom } from '../src/testing/index.js'
import { type FromWorker, nowMs, type Record, sessionOf, type ToWorker, type Verdict, type What, type WorkerSetup } from './messages.js'

const VISITORS = 6

/** The lives of records differ, and a write or touch of one must not give its own to what another has stored. */
const LIFETIMES_SEC = [60, 3600, 86_400, 40 * 86_400]
/** Over before the session is judged. */
const SHORT_SEC = 4

/** Codes that say that nothing was changed. Misuse and undecodable records are bugs here: nobody writes any. */
const DEFINITE = new Set([
  ...['FENCED', 'LOCK_LOST', 'HELD_TOO_LONG', 'SESSION_GONE', 'SERVER_UNAVAILABLE', 'SERVER_REFUSED'],
  ...['LOCK_TIMEOUT', 'TOO_MANY_WAITERS', 'CLOSED', 'READ_ONLY'],
])

const setup = JSON.parse(process.env['SOAK_WORKER'] ?? '') as WorkerSetup
const random = new SeededRandom(setup.seed)
const manager = new SessionManager({
  savePath: setup.savePath,
  locking: setup.locking,
  leaseSec: 3,
  deadlineMs: 900,
  waitMs: 5000,
  maxHoldMs: 8000,
  lifetimeSec: 3600,
  label: setup.name,
})
let epoch = setup.epoch
let working = true
let count = 0

const tell = (message: FromWorker): void => void process.send?.(message)

function codeOf(error: unknown): string {
  if (error instanceof LatchkeyError) return error.code.replace('LATCHKEY_', '')
  tell({ kind: 'bug', text: `not a typed error: ${error instanceof Error ? String(error.stack) : String(error)}` })
  return 'BUG'
}

function verdictOf(error: unknown): Verdict {
  const code = codeOf(error)
  if (code === 'OUTCOME_UNKNOWN') return 'unknown'
  if (!DEFINITE.has(code)) tell({ kind: 'bug', text: `an error that nothing here calls for: ${String(error)}` })
  return 'refused'
}

/** Announces a change, carries it out, and tells what came of it; whether it was acknowledged. */
async function change(
  what: What,
  session: string,
  op: string,
  call: () => Promise<unknown>,
): Promise<boolean> {
  tell({ kind: 'begin', op, what, session, atMs: nowMs() })
  try {
    await call()
    tell({ kind: 'end', op, verdict: 'acknowledged', atMs: nowMs() })
    return true
  } catch (error) {
    tell({ kind: 'end', op, verdict: verdictOf(error), atMs: nowMs() })
    return false
  }
}

const freshOp = (): string => `${setup.name}-${String(++count)}`

function opsOf(session: string, text: string): readonly string[] {
  if (text === '') return []
  const record = JSON.parse(text) as Record
  if (record.of !== session) tell({ kind: 'bug', text: `${session} was read as ${record.of}` })
  return record.ops
}

const textOf = (session: string, ops: readonly string[]): string => JSON.stringify({ of: session, ops })

/** Mostly as long as a request; now and then long enough for a lock to be renewed, or to be taken away. */
const holdMs = (): number => (random.integer(40) === 0 ? 500 + random.integer(2500) : random.integer(15))

const lifetime = (): { lifetimeSec: number } => ({ lifetimeSec: LIFETIMES_SEC[random.integer(LIFETIMES_SEC.length)] ?? 3600 })

/** Which sessions are ended in which way, of those that are at all: what nothing ended is judged most strictly. */
const END_OF: readonly (What | undefined)[] = ['destroy', 'shorten', 'renew', undefined, 'destroy', undefined, undefined, undefined]

async function visit(session: string, mayEnd: What | undefined): Promise<void> {
  const roll = random.integer(100)
  if (roll < 5) {
    const data = await manager.peek<Record>(session)
    if (data?.of !== undefined) opsOf(session, JSON.stringify(data))
    return
  }
  if (roll < 15) return runOnce(session)
  if (roll < 25 && mayEnd === 'renew') return renew(session)
  const store = manager.store()
  try {
    if (roll < 17 && mayEnd === 'destroy') {
      if (roll === 15) await store.read(session)
      await change('destroy', session, freshOp(), () => store.destroy(session))
      return
    }
    const text = await store.read(session)
    const ops = opsOf(session, text)
    await sleep(holdMs())
    if (roll < 18 && mayEnd === 'shorten') {
      const shorten = (): Promise<true> => store.updateTimestamp(session, text, { lifetimeSec: SHORT_SEC })
      await change('shorten', session, freshOp(), shorten)
    } else if (roll < 25) await store.updateTimestamp(session, text, lifetime())
    else if (roll < 40) await saveThenWrite(store, session, ops)
    else if (roll >= 95) await refrain(session)
    else {
      const op = freshOp()
      await change('append', session, op, () => store.write(session, textOf(session, [...ops, op]), lifetime()))
    }
  } finally {
    await store.close()
  }
}

async function saveThenWrite(store: SessionStore, session: string, ops: readonly string[]): Promise<void> {
  const [first, second] = [freshOp(), freshOp()]
  const saved = [...ops, first]
  if (!(await change('append', session, first, () => store.save(session, textOf(session, saved), lifetime())))) return
  await sleep(holdMs())
  await change('append', session, second, () => store.write(session, textOf(session, [...saved, second]), lifetime()))
}

/** The session goes on under another id, where whatever was acknowledged must be found; whoever comes too late finds an end. */
async function renew(session: string): Promise<void> {
  const held = await manager.start<Record>(session)
  try {
    if (held.isNew) return
    const ops = opsOf(session, JSON.stringify(held.data))
    await sleep(holdMs())
    const retiredCopySec = random.integer(2) === 0 ? 0 : 2
    if (!(await change('renew', session, freshOp(), () => held.regenerate({ retiredCopySec })))) return
    const to = held.id
    tell({ kind: 'renewed', from: session, to, ops, atMs: nowMs() })
    await sleep(holdMs())
    const op = freshOp()
    held.data = { of: session, ops: [...ops, op] }
    await change('append', to, op, () => held.release())
  } finally {
    await held.abort()
  }
}

/** A change that is thought of and never sent: it must not turn up. */
async function refrain(session: string): Promise<void> {
  const op = freshOp()
  tell({ kind: 'begin', op, what: 'append', session, atMs: nowMs() })
  tell({ kind: 'end', op, verdict: 'refused', atMs: nowMs() })
}

async function runOnce(session: string): Promise<void> {
  const held = await manager.start<Record>(session)
  try {
    const ops = held.isNew ? [] : opsOf(session, JSON.stringify(held.data))
    await sleep(holdMs())
    const op = freshOp()
    held.data = { of: session, ops: [...ops, op] }
    await change('append', session, op, () => held.release())
  } finally {
    await held.abort()
  }
}

async function visitor(): Promise<void> {
  while (working) {
    const index = random.integer(setup.sessions)
    try {
      await visit(sessionOf(epoch, index), END_OF[index % END_OF.length])
    } catch (error) {
      tell({ kind: 'unserved', code: codeOf(error) })
    }
    await sleep(random.integer(20))
  }
}

process.on('message', (message: ToWorker) => {
  if (message === 'stop') working = false
  else epoch = message.epoch
})
process.on('unhandledRejection', (error) => tell({ kind: 'bug', text: `unhandled: ${String(error)}` }))

// Where the soak itself is killed.
const orphaned = (): never => process.exit(1)
process.once('disconnect', orphaned)

tell({ kind: 'ready' })
await Promise.all(Array.from({ length: VISITORS }, () => visitor()))
await manager.close({ graceMs: 1000 })
// From here on nothing of latchkey may keep the process alive.
process.off('disconnect', orphaned).disconnect()
