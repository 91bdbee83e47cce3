/** The rows of the matrix: each call that reaches a server, and what it leaves there. */
import type { SessionManager, SessionStore } from 'latchkey'
import { type Marked, marksOf, type Rig, textOf } from './rig.js'

/** The moment of the fault, for a hook to set off: what is called right after it meets it. */
export interface Stage {
  readonly rig: Rig
  /** Breaks the next exchange; the deadline counts from here. A bystander is read in the same batch. */
  strike(): Promise<void>
  /** Breaks an exchange that comes by itself within `ms`: resolves then. The deadline counts from then. */
  strikeWithin(ms: number): Promise<void>
}

/** A hook being played: the call that meets the fault, and what follows when everything is whole again. */
export interface Play {
  readonly outcome: Promise<unknown>
  /** Goes on with what the call has acquired, or lets go of it. May throw: then the next call does not work. */
  after(succeeded: boolean): Promise<unknown>
}

export interface HookKind {
  readonly name: string
  /** How its outcome can be known: see expectations.ts. */
  readonly nature: 'acquires' | 'changes' | 'touches' | 'destroys' | 'lets go' | 'looks' | 'destroys blindly' | 'renews'
  /** Its write leaves the mark 'mine' in the record. */
  readonly writes: boolean
  readonly leaseSec?: number
  play(stage: Stage): Play
}

/** A fault must meet the hook's exchange, not a handshake. */
const warm = (rig: Rig): Promise<unknown> => rig.manager.peek(rig.bystander)

const readMarks = async (rig: Rig, store: SessionStore): Promise<readonly string[]> =>
  marksOf(rig.id, await store.read(rig.id))

/** A hook of a store that has not read anything: what it acquires through the fault must be good for a write. */
const fresh = (
  name: string,
  nature: HookKind['nature'],
  call: (store: SessionStore, id: string) => Promise<unknown>,
): HookKind => ({
  name,
  nature,
  writes: false,
  play({ rig, strike }) {
    const store = rig.manager.store()
    const outcome = warm(rig)
      .then(strike)
      .then(() => call(store, rig.id))
    const after = async (succeeded: boolean): Promise<void> => {
      if (nature === 'acquires' && succeeded && store.isHeld) {
        await store.write(rig.id, textOf(rig.id, ...(await readMarks(rig, store)), 'after'))
      }
      await store.close()
    }
    return { outcome, after }
  },
})

/** A hook of a store that has read the session. */
const locked = (
  name: string,
  nature: HookKind['nature'],
  call: (store: SessionStore, id: string, text: string, marks: readonly string[]) => Promise<unknown>,
): HookKind => ({
  name,
  nature,
  writes: nature === 'changes',
  play({ rig, strike }) {
    const store = rig.manager.store()
    const outcome = readMarks(rig, store).then(async (marks) => {
      await strike()
      return call(store, rig.id, textOf(rig.id, ...marks), marks)
    })
    return { outcome, after: () => store.close() }
  },
})

const renewal: HookKind = {
  name: 'renewal, then write',
  nature: 'renews',
  writes: true,
  // Renewed after one second.
  leaseSec: 3,
  play({ rig, strikeWithin }) {
    const store = rig.manager.store()
    const outcome = readMarks(rig, store).then(async (marks) => {
      await strikeWithin(1000 * rig.patience + 50)
      return store.write(rig.id, textOf(rig.id, ...marks, 'mine'))
    })
    return { outcome, after: () => store.close() }
  },
}

const handOff: HookKind = {
  name: 'hand-off',
  nature: 'changes',
  writes: true,
  play({ rig, strike }) {
    const [store, next] = [rig.manager.store(), rig.manager.store()]
    let reading: Promise<readonly string[]> | undefined
    const outcome = readMarks(rig, store).then(async (marks) => {
      reading = readMarks(rig, next)
      reading.catch(() => undefined)
      await strike()
      return store.write(rig.id, textOf(rig.id, ...marks, 'mine'))
    })
    const after = async (succeeded: boolean): Promise<void> => {
      await store.close()
      if (succeeded) {
        // The one who waited starts from what was just stored, and can store in turn.
        const marks = (await reading) ?? []
        if (!marks.includes('mine')) throw new Error('WRONG: the next one misses an acknowledged write')
        await next.write(rig.id, textOf(rig.id, ...marks, 'after'))
      }
      await next.close()
    }
    return { outcome, after }
  },
}

const nothing = (): Promise<void> => Promise.resolve()

/** A call of the manager that ends by itself. */
const managed = (
  name: string,
  nature: HookKind['nature'],
  call: (manager: SessionManager, id: string) => Promise<unknown>,
): HookKind => ({
  name,
  nature,
  writes: false,
  play: ({ rig, strike }) => ({
    outcome: warm(rig)
      .then(strike)
      .then(() => call(rig.manager, rig.id)),
    after: nothing,
  }),
})

const check = (id: string, data: Partial<Marked>): void => {
  if (data.of !== undefined) marksOf(id, JSON.stringify(data))
}

const runItsEnd: HookKind = {
  name: 'run, its end',
  nature: 'changes',
  writes: true,
  play: ({ rig, strike }) => ({
    outcome: rig.manager.run<Marked>(rig.id, async (session) => {
      session.data = { of: rig.id, marks: [...(session.data.marks ?? []), 'mine'] }
      await strike()
    }),
    after: nothing,
  }),
}

/** The calls of the library; those of the adapters are rows of their own (express-hooks.ts). */
export const CORE_HOOKS: readonly HookKind[] = [
  fresh('read', 'acquires', (store, id) => store.read(id)),
  fresh('validateId', 'acquires', (store, id) => store.validateId(id)),
  locked('write', 'changes', (store, id, _text, marks) => store.write(id, textOf(id, ...marks, 'mine'))),
  locked('save', 'changes', (store, id, _text, marks) => store.save(id, textOf(id, ...marks, 'mine'))),
  locked('updateTimestamp', 'touches', (store, id, text) => store.updateTimestamp(id, text)),
  locked('destroy', 'destroys', (store, id) => store.destroy(id)),
  fresh('destroy, unread', 'destroys blindly', (store, id) => store.destroy(id)),
  locked('close', 'lets go', (store) => store.close()),
  renewal,
  managed('peek', 'looks', async (manager, id) => check(id, (await manager.peek<Marked>(id)) ?? {})),
  managed('run, its start', 'acquires', (manager, id) =>
    manager.run<Marked>(id, (session) => {
      check(id, session.data)
    }),
  ),
  runItsEnd,
  handOff,
]
