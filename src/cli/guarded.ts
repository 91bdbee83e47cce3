import type { KeyLayout } from '../lock/protocol/key-layout.js'
import type { Holder } from '../errors.js'
import { nameOf, type Place } from './place.js'

/** What a lock guards: a session, or what an application does under a name of its own (`manager.mutex`). */
export interface Guarded {
  /** The session's id, or the name; where its keys live. */
  readonly id: string
  readonly layout: KeyLayout
  /** At the beginning of a sentence. */
  readonly title: string
  /** For programs: a hash of the id, which is a secret; or the name, which is none. */
  readonly data: { readonly session: string } | { readonly mutex: string }
  /** What else there is to know before its lock is taken off; '' where the second of two writers is refused. */
  readonly danger: string
  /** One flight. */
  holder(): Promise<Holder | undefined>
}

export function sessionOf({ layout, manager }: Place, id: string): Guarded {
  const session = nameOf(id)
  return { id, layout, title: `Session ${session}`, data: { session }, danger: '', holder: () => manager.holder(id) }
}

/** @throws InvalidIdError LATCHKEY_INVALID_ID: no lock can have this name. */
export function mutexOf({ mutexLayout, manager }: Place, name: string): Guarded {
  const mutex = manager.mutex(name)
  return {
    id: name,
    layout: mutexLayout,
    title: `The lock "${name}"`,
    data: { mutex: name },
    danger: ' It learns that when it renews its lock; until then two may work at once.',
    holder: () => mutex.holder(),
  }
}
