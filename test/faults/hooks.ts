/** The rows of the matrix: each call that reaches a server, and what it leaves there. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SessionStore } from 'latchkey'
import { type Marked, marksOf, type Rig, textOf } from './rig.js'

/** The moment of the fault, for a hook to set off: what is called right after it meets it. */
export interface Stage {
  readonly rig: Rig
  /** Breaks the next exchange; the deadline counts from here. A bystander is read in the same batch. */
  strike(): Promise<void>
  /** Breaks an exchange that comes by itself: resolves when it has happened. The deadline counts from then. */
  strikeInBackground(leastMs: number): Promise<void>
}

export interface HookKind {
  readonly name: string
  /** How its outcome can be known: see expectations.ts. */
  readonly nature: 'acquires' | 'changes' | 'touches' | 'destroys' | 'lets go' | 'looks' | 'destroys blindly' | 'renews'
  /** The mark that it leaves in the record when it succeeds. */
  readonly leaves?: string
  readonly leaseSec?: number
  /** Plays up to the fault and through it; what it holds then is let go by `after`, which every cell awaits. */
  play(stage: Stage): Promise<unknown>
  after?(rig: Rig): Promise<void>
}

const held = new WeakMap<Rig, SessionStore[]>()

function keep(rig: Rig, store: SessionStore): SessionStore {
  held.set(rig, [...(held.get(rig) ?? []), store])
  return store
}

/** Whatever became of the call, closing is legal and lets go. */
async function closeAll(rig: Rig): Promise<void> {
  for (const store of held.get(rig) ?? []) await store.close()
}

/** A store that has read the session, on a connection that is warm. */
async function reader(rig: Rig): Promise<{ store: SessionStore; marks: readonly string[] }> {
  const store = keep(rig, rig.manager.store())
  const marks = marksOf(rig.id, await store.read(rig.id))
  return { store, marks }
}

/** A fault must meet the hook's exchange, not a handshake. */
const warm = (rig: Rig): Promise<unknown> => rig.manager.peek(rig.bystander)

/** What was acquired through a fault must be good for a write. */
async function writeOn(rig: Rig, store: SessionStore, text: string): Promise<void> {
  await store.write(rig.id, textOf(rig.id, ...marksOf(rig.id, text), 'written'))
}

export const HOOKS: readonly HookKind[] = [
  {
    name: 'read',
    nature: 'acquires',
    async play({ rig, strike }) {
      await warm(rig)
      const store = keep(rig, rig.manager.store())
      await strike()
      return store.read(rig.id)
    },
    async after(rig) {
      const [store] = held.get(rig) ?? []
      if (store?.isHeld === true) await writeOn(rig, store, await store.read(rig.id))
      await closeAll(rig)
    },
  },
  {
    name: 'validateId',
    nature: 'acquires',
    async play({ rig, strike }) {
      await warm(rig)
      const store = keep(rig, rig.manager.store())
      await strike()
      return store.validateId(rig.id)
    },
    async after(rig) {
      const [store] = held.get(rig) ?? []
      if (store?.isHeld === true) await writeOn(rig, store, await store.read(rig.id))
      await closeAll(rig)
    },
  },
  {
    name: 'write',
    nature: 'changes',
    leaves: 'mine',
    async play({ rig, strike }) {
      const { store, marks } = await reader(rig)
      await strike()
      return store.write(rig.id, textOf(rig.id, ...marks, 'mine'))
    },
    after: closeAll,
  },
  {
    name: 'save',
    nature: 'changes',
    leaves: 'mine',
    async play({ rig, strike }) {
      const { store, marks } = await reader(rig)
      await strike()
      return store.save(rig.id, textOf(rig.id, ...marks, 'mine'))
    },
    after: closeAll,
  },
  {
    name: 'updateTimestamp',
    nature: 'touches',
    async play({ rig, strike }) {
      const { store, marks } = await reader(rig)
      await strike()
      return store.updateTimestamp(rig.id, textOf(rig.id, ...marks), { lifetimeSec: 2000 })
    },
    after: closeAll,
  },
  {
    name: 'destroy',
    nature: 'destroys',
    async play({ rig, strike }) {
      const { store } = await reader(rig)
      await strike()
      return store.destroy(rig.id)
    },
    after: closeAll,
  },
  {
    name: 'destroy, unread',
    nature: 'destroys blindly',
    async play({ rig, strike }) {
      await warm(rig)
      const store = keep(rig, rig.manager.store())
      await strike()
      return store.destroy(rig.id)
    },
    after: closeAll,
  },
  {
    name: 'close',
    nature: 'lets go',
    async play({ rig, strike }) {
      const { store } = await reader(rig)
      await strike()
      return store.close()
    },
  },
  {
    name: 'renewal, then write',
    nature: 'renews',
    leaves: 'mine',
    leaseSec: 3,
    async play({ rig, strikeInBackground }) {
      const { store, marks } = await reader(rig)
      // A lease of three seconds is renewed after one.
      await strikeInBackground(1050)
      return store.write(rig.id, textOf(rig.id, ...marks, 'mine'))
    },
    after: closeAll,
  },
  {
    name: 'peek',
    nature: 'looks',
    async play({ rig, strike }) {
      await warm(rig)
      await strike()
      const data = await rig.manager.peek<Marked>(rig.id)
      if (data !== undefined) marksOf(rig.id, JSON.stringify(data))
    },
  },
  {
    name: 'run, its start',
    nature: 'acquires',
    async play({ rig, strike }) {
      await warm(rig)
      await strike()
      await rig.manager.run<Marked>(rig.id, (session) => {
        marksOf(rig.id, session.isNew ? '' : JSON.stringify(session.data))
      })
    },
  },
  {
    name: 'run, its end',
    nature: 'changes',
    leaves: 'mine',
    async play({ rig, strike }) {
      await rig.manager.run<Marked>(rig.id, async (session) => {
        session.data = { of: rig.id, marks: [...(session.data.marks ?? []), 'mine'] }
        await strike()
      })
    },
  },
  {
    name: 'hand-off',
    nature: 'changes',
    leaves: 'mine',
    async play({ rig, strike }) {
      const { store, marks } = await reader(rig)
      const next = keep(rig, rig.manager.store())
      const reading = next.read(rig.id)
      reading.catch(() => undefined)
      await strike()
      await store.write(rig.id, textOf(rig.id, ...marks, 'mine'))
      // The one who waited starts from what was just stored, and can store in turn.
      const text = await reading
      if (!marksOf(rig.id, text).includes('mine')) throw new Error('WRONG: the next one misses an acknowledged write')
      await writeOn(rig, next, text)
    },
    after: async (rig) => {
      // Where the write failed the next one may be about to get the session: it is let go then, too.
      await sleep(0)
      for (const store of held.get(rig) ?? []) await closeWhenFree(store)
    },
  },
]

/** Closes a store whose read may still be under way; what it gets afterwards it gives back by itself. */
async function closeWhenFree(store: SessionStore): Promise<void> {
  await store.close()
}
