import { own, protect } from '../../session/protect.js'

/** What koa-session's `commit` can be told. */
export interface CommitOptions {
  readonly save?: boolean
  readonly regenerate?: boolean
}

export type CommitCallback = (error?: unknown) => void

/** koa-session's session object, which it does not export. */
export interface KoaSession {
  readonly isNew: boolean
  readonly populated: boolean
  readonly maxAge: unknown
  readonly externalKey?: string | undefined
  /** What koa-session sets when `maxAge` is changed: it is saved, whatever the comparison says. */
  _requireSave: boolean
  toJSON(): Record<string, unknown>
  /** save(), regenerate() and manuallyCommit() are made of it. */
  commit(options?: CommitOptions | CommitCallback, callback?: CommitCallback): Promise<void> | undefined
}

/** From now on the session, and what was taken from it before, can only be read. Returns what to use in its place. */
export function readOnlyView(session: object, why: () => Error, isShared: boolean): object {
  const refuse = (): never => {
    throw why()
  }
  protect(own(session), why, isShared)
  return new Proxy(session, {
    // koa-session's methods look for private members, which a Proxy has not.
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' && !Object.hasOwn(target, name) ? value.bind(target) : value
    },
    set: refuse,
    deleteProperty: refuse,
    defineProperty: refuse,
    setPrototypeOf: refuse,
    preventExtensions: refuse,
  })
}
